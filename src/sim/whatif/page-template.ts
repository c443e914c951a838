import { pageStyle } from '../../charts/templates.js';

/** The what-if page. Everything it needs is in it: it is kept, mailed and printed. */
export const pageTemplate = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title><%= it.title %></title>
<style>
${pageStyle}</style>
</head>
<body>
<main>
<h1><%= it.title %></h1>
<p><%= it.summary %></p>
<p class="muted"><%= it.caveat %></p>
<% for (const warning of it.warnings) { %><p class="note"><%= warning %></p>
<% } %>
<% for (const chart of it.charts) { %>
<section aria-labelledby="<%= chart.id %>">
<h2 id="<%= chart.id %>"><%= chart.title %></h2>
<figure role="group" aria-labelledby="<%= chart.id %>">
<%~ include('@picture', chart) %>
<figcaption><%= chart.caption %></figcaption>
</figure>
<% if (chart.isOpen) { %><%~ include('@table', chart.table) %><% } else { %>
<details><summary>The same as a table</summary><%~ include('@table', chart.table) %></details>
<% } %>
</section>
<% } %>
<section aria-labelledby="assumptions">
<h2 id="assumptions">What this rests on</h2>
<p><%= it.rests %></p>
<%~ include('@table', it.assumptions) %>
</section>
</main>
</body>
</html>
`;
