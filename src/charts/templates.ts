/** Style of a page of charts and tables, light and dark, on a phone and on paper. */
export const pageStyle = `:root {
  --paper: #ffffff; --ink: #1b1f24; --muted: #59636e; --line: #dfe3e8; --panel: #f5f7f9;
  --bad: #8f1d14; --bad-paper: #fbe9e7; --good: #14532d; --good-paper: #e6f4ea;
  --s1: #0b62b8; --s2: #c2570c; --s3: #13795b; --s4: #8a2fb0; --s5: #a3213f; --s6: #5b6b00; --s7: #007e8a; --s8: #6b5344;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e8ebee; --muted: #a3adb8; --line: #333b45; --panel: #1d232a;
    --bad: #ffb4a9; --bad-paper: #45201b; --good: #a5dfb8; --good-paper: #17351f;
    --s1: #62aaf5; --s2: #f59b51; --s3: #4cc79b; --s4: #cf95ec; --s5: #f2859d; --s6: #bccb50; --s7: #4fc6d2; --s8: #c9a893;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, "Liberation Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 20px 48px; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .2rem; }
p { margin: .3rem 0 .8rem; max-width: 72ch; }
.muted, figcaption, caption { color: var(--muted); }
figure { margin: .6rem 0 0; }
figcaption, caption { font-size: .9rem; text-align: left; padding: .2rem 0 .4rem; max-width: 84ch; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.3rem; margin: .3rem 0 .5rem; padding: 0; font-size: .9rem; }
svg.key { display: inline-block; width: 30px; height: 12px; margin-right: .45rem; }
.narrow { display: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { padding: .38rem .6rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); font-weight: 600; }
tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 9rem; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tbody th small, td small { display: block; font-weight: 400; color: var(--muted); }
td.loss { background: var(--bad-paper); color: var(--bad); }
td.safe { background: var(--good-paper); color: var(--good); }
td.loss small, td.safe small { color: inherit; }
details { margin-top: .6rem; }
summary { cursor: pointer; color: var(--muted); }
.note { background: var(--panel); border-left: 4px solid var(--s2); padding: .5rem .9rem; margin: 1rem 0; }
@media (max-width: 640px) {
  main { padding: 16px 14px 32px; }
  .wide { display: none; } .narrow { display: block; }
  table thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  table th, table td { display: block; border: 0; padding: .2rem .5rem; text-align: left; white-space: normal; }
  table tbody th { padding-left: 0; }
  table td::before { content: attr(data-name) ": "; color: var(--muted); }
  table td.loss::before, table td.safe::before { color: inherit; }
  table td small { display: inline; }
  table td.number { text-align: left; }
  table.figures td { display: inline-block; width: 49%; }
  table.figures td[colspan] { width: 100%; }
  table td[colspan]::before { content: none; }
}
@media print {
  :root {
    --paper: #fff; --ink: #000; --muted: #444; --line: #bbb; --panel: #f3f3f3; --bad: #7a1008; --bad-paper: #fbe9e7;
    --good: #14532d; --good-paper: #e6f4ea;
    --s1: #0b62b8; --s2: #c2570c; --s3: #13795b; --s4: #8a2fb0; --s5: #a3213f; --s6: #5b6b00; --s7: #007e8a; --s8: #6b5344;
  }
  body { font-size: 11pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  figure, tr { break-inside: avoid; } h2 { break-after: avoid; }
}
`;

/** What stands for each series of a chart. */
export const legendTemplate = `<ul class="legend"><% for (const { name, colour, dashes } of it.legend) { %><li><svg class="key" viewBox="0 0 30 12" aria-hidden="true"><% if (dashes === '') { %><rect width="30" height="12" fill="<%= colour %>"/><% } else { %><line x1="0" y1="6" x2="30" y2="6" stroke="<%= colour %>" stroke-width="3" stroke-dasharray="<%= dashes %>"/><% } %></svg><%= name %></li><% } %></ul>`;

/** One chart in both widths, with its legend. */
export const pictureTemplate = `<% if (it.wide !== '') { %><%~ include('@legend', it) %>
<div class="wide"><%~ it.wide %></div><div class="narrow"><%~ it.narrow %></div><% } %>`;

export const tableTemplate = `<div class="scroll"><table class="<%= it.isNumbers ? 'figures' : '' %>">
<caption><%= it.caption %></caption>
<thead><tr><% for (const name of it.header) { %><th scope="col"<% if (it.isNumbers && name !== it.header[0]) { %> class="number"<% } %>><%= name %></th><% } %></tr></thead>
<tbody>
<% for (const row of it.rows) { %><tr><th scope="row"><%= row.name %><% if (row.note) { %><small><%= row.note %></small><% } %></th>
<% row.cells.forEach((cell, i) => { %><td class="<%= cell.kind %>" data-name="<%= (it.short ?? it.header)[i + 1] %>"<% if (cell.span) { %> colspan="<%= cell.span %>"<% } %>><%= cell.text %><% if (cell.note) { %> <small><%= cell.note %></small><% } %></td><% }) %></tr>
<% } %></tbody></table></div>
`;
