import { pageStyle } from '../../charts/templates.js';

/** The report of a soak. Everything it needs is in it: it is kept, mailed and printed. */
export const pageTemplate = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title><%= it.title %></title>
<style>
${pageStyle}
:root { --open: #6b4300; --open-paper: #fdf0d8; }
@media (prefers-color-scheme: dark) { :root { --open: #f3cf8e; --open-paper: #40300f; } }
.verdict { margin: 0 0 1.2rem; padding: 1rem 1.2rem; border-radius: 6px; border-left: 8px solid currentColor; }
.verdict h1 { font-size: 2.2rem; }
.verdict p { margin: 0; max-width: none; overflow-wrap: anywhere; }
.verdict.pass { background: var(--good-paper); color: var(--good); }
.verdict.fail { background: var(--bad-paper); color: var(--bad); }
.verdict.inconclusive, td.open { background: var(--open-paper); color: var(--open); }
td.lines { white-space: pre-line; font-variant-numeric: tabular-nums; }
td { overflow-wrap: anywhere; }
td.lines { min-width: 12rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: .4rem 0 1rem; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
pre { background: var(--panel); border: 1px solid var(--line); padding: .6rem .8rem; margin: .4rem 0 1rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .88rem; }
pre.repeat code { user-select: all; }
pre.output { max-height: 32rem; overflow: auto; }
ul.plain { padding-left: 1.2rem; } ul.plain li { overflow-wrap: anywhere; }
.marks { background: var(--panel); padding: .5rem .9rem; margin: .8rem 0; }
.marks .legend { margin-bottom: 0; }
@media (min-width: 641px) { .findings tbody th { min-width: 12.6rem; } }
@media (max-width: 640px) {
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  td.lines { min-width: 0; }
  table td.lines { white-space: pre-line; }
  table td.open::before { color: inherit; }
}
@media print {
  :root { --open: #5c3a00; --open-paper: #fdf0d8; }
  pre.output { max-height: none; } h3 { break-after: avoid; }
}
</style>
</head>
<body>
<main>
<header class="verdict <%= it.verdict %>"><h1><%= it.headline %></h1>
<p><%= it.reason %></p></header>
<p>The same again:</p>
<pre class="repeat"><code><%= it.repeat %></code></pre>
<% for (const note of it.notes) { %><p class="note"><%= note %></p>
<% } %><section aria-labelledby="findings">
<h2 id="findings">Findings</h2>
<div class="findings"><%~ include('@table', it.findings) %></div>
</section>
<section aria-labelledby="run">
<h2 id="run">What was run</h2>
<dl><% for (const [name, text] of it.facts) { %><dt><%= name %></dt><dd><%= text %></dd>
<% } %></dl>
</section>
<section aria-labelledby="charts">
<h2 id="charts">Over time</h2>
<% if (it.charts.length > 0 && it.marks.legend.length > 0) { %><div class="marks"><p><%= it.marks.text %></p><%~ include('@legend', it.marks) %></div><% } %>
<% for (const chart of it.charts) { %><h3 id="<%= chart.id %>"><%= chart.title %></h3>
<figure aria-labelledby="<%= chart.id %>">
<%~ include('@picture', chart) %>
<figcaption><%= chart.caption %></figcaption>
</figure>
<% } %>
<% if (it.absent.length > 0) { %><h3>Not drawn</h3>
<ul class="plain absent"><% for (const { title, absent } of it.absent) { %><li><%= title %>: <%= absent %></li>
<% } %></ul><% } %>
</section>
<section aria-labelledby="losses">
<h2 id="losses">Losses</h2>
<%~ include('@table', it.losses) %>
<% if (it.examples.length > 0) { %><p>The first of what went wrong:</p>
<ul class="plain"><% for (const example of it.examples) { %><li><%= example %></li><% } %></ul><% } %>
</section>
<section aria-labelledby="chaos">
<h2 id="chaos">Chaos</h2>
<% if (it.chaos.rows.length > 0) { %><%~ include('@table', it.chaos) %><% } else { %><p class="muted">Nothing was done to the server.</p><% } %>
</section>
<section aria-labelledby="thresholds">
<h2 id="thresholds">Thresholds</h2>
<%~ include('@table', it.thresholds) %>
</section>
<section aria-labelledby="output">
<h2 id="output">The server's last output</h2>
<% if (it.output === '') { %><p class="muted">It wrote nothing.</p><% } else { %><pre class="output" tabindex="0" role="region" aria-label="what the server wrote"><%= it.output %></pre><% } %>
</section>
<section aria-labelledby="runner">
<h2 id="runner">The runner itself</h2>
<p><%= it.runner %></p>
</section>
</main>
</body>
</html>
`;
