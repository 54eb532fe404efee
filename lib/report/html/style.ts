/** The style of a report. Colours are chosen for a contrast of at least 4.5 : 1 in both schemes. */
export const STYLE = `
:root { color-scheme: light dark;
  --page: #fbfbfa; --card: #fff; --text: #1d2125; --dim: #5c646d; --line: #d9dde1; --code: #f2f3f5;
  --good: #1a6b39; --good-soft: #d8f0df; --bad: #a8231c; --bad-soft: #fbe0dd; --warn: #7a4d00; --warn-soft: #fbecc8;
  --calm: #3a5675; --calm-soft: #dfe8f2; --link: #0b57a8; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14171a; --card: #1c2024; --text: #e4e7ea; --dim: #a0a8b0; --line: #343a41; --code: #23282d;
  --good: #7fd99c; --good-soft: #173a25; --bad: #ff9c94; --bad-soft: #4a1f1c; --warn: #f0c36a; --warn-soft: #423312;
  --calm: #a5c3e2; --calm-soft: #22364a; --link: #86bdf5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem clamp(.75rem, 3vw, 2rem) 4rem; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2.25rem 0 .5rem; font-size: 1.1rem; }
h3 { margin: 0 0 .4rem; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; overflow-wrap: anywhere; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
.dim { color: var(--dim); }
.bad { color: var(--bad); white-space: pre-wrap; }
header { border: 1px solid var(--line); border-left: 6px solid var(--calm); border-radius: 8px; background: var(--card); padding: 1rem 1.25rem; }
header.good { border-left-color: var(--good); } header.good .verdict b { color: var(--good); }
header.bad-run { border-left-color: var(--bad); } header.bad-run .verdict b { color: var(--bad); }
.verdict { font-size: 1.05rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: .15rem 1.5rem; margin: .75rem 0 0; }
dl div { display: flex; gap: .6rem; min-width: 0; }
dt { flex: 0 0 4rem; color: var(--dim); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; font-family: ui-monospace, monospace; font-size: .87rem; line-height: 1.7; }
.badge { display: inline-block; padding: 0 .5em; border-radius: 1em; font-size: .8rem; white-space: nowrap; background: var(--calm-soft); color: var(--calm); }
.badge.done { background: var(--good-soft); color: var(--good); }
.badge.failed { background: var(--bad-soft); color: var(--bad); }
.badge.cancelled, .badge.unfinished, .badge.put-back { background: var(--warn-soft); color: var(--warn); }
.failure { border: 1px solid var(--bad); border-radius: 8px; background: var(--card); padding: .75rem 1rem; margin: .5rem 0; }
.message { font-weight: 600; white-space: pre-wrap; }
pre, code { font-family: ui-monospace, monospace; font-size: .83rem; line-height: 1.45; }
pre { margin: .5rem 0; padding: .6rem .75rem; background: var(--code); border-radius: 6px; max-height: 32rem; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4; }
.line { display: block; margin: .2rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.graph { overflow: auto; max-height: 36rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); padding: .75rem; }
.graph svg { display: block; font: 13px system-ui, sans-serif; }
.edges path { fill: none; stroke: var(--dim); stroke-width: 1.2; } .head { fill: var(--dim); }
.node rect { fill: var(--calm-soft); stroke: var(--calm); } .node text { fill: var(--calm); }
.node.done rect { fill: var(--good-soft); stroke: var(--good); } .node.done text { fill: var(--good); }
.node.failed rect { fill: var(--bad-soft); stroke: var(--bad); stroke-width: 2; } .node.failed text { fill: var(--bad); }
.node.cancelled rect, .node.unfinished rect { fill: var(--warn-soft); stroke: var(--warn); } .node.cancelled text, .node.unfinished text { fill: var(--warn); }
.node.not-run rect { fill: var(--card); stroke: var(--dim); stroke-dasharray: 4 3; } .node.not-run text { fill: var(--dim); }
.node:hover rect, .node:focus-visible rect { stroke-width: 3; }
.row { display: grid; grid-template-columns: 19rem minmax(0, 1fr) 5rem; gap: .75rem; align-items: center; }
.name { min-width: 0; overflow-wrap: anywhere; }
.took { text-align: right; color: var(--dim); font-variant-numeric: tabular-nums; white-space: nowrap; }
.timeline { border: 1px solid var(--line); border-radius: 8px; background: var(--card); padding: .25rem 0 .5rem; }
.timeline > .row, .timeline > p { padding: .1rem .9rem; }
.task > summary { padding: .2rem .9rem; cursor: pointer; list-style: none; } .task > summary::-webkit-details-marker { display: none; }
.task > summary:hover, .task:target > summary { background: var(--code); }
.task > summary b { font-weight: 600; }
.task > summary .name::before { content: '▸'; display: inline-block; width: 1em; color: var(--dim); }
.task[open] > summary .name::before { content: '▾'; }
.inside { margin: 0 0 .5rem; padding: .35rem .9rem; border-block: 1px solid var(--line); background: var(--page); }
.steps { margin: 0; padding: 0; list-style: none; }
.step { padding: .35rem 0; } .step + .step { border-top: 1px dashed var(--line); }
.effect { font-size: .87rem; } .effect.changes, .effect.collects { color: var(--warn); } .effect.irreversible { color: var(--bad); font-weight: 600; }
.place { font-size: .87rem; color: var(--dim); }
.id { font-size: .78rem; color: var(--dim); }
.undo { color: var(--dim); font-family: ui-monospace, monospace; font-size: .78rem; } .undo span { display: block; padding-left: 1.2em; text-indent: -1.2em; }
.bar { display: block; width: 100%; height: 1.25rem; overflow: hidden; }
line { stroke: var(--line); }
.bar rect { color: var(--calm); fill: currentcolor; stroke: currentcolor; stroke-width: 1.5; }
.bar rect.done { color: var(--good); } .bar rect.failed { color: var(--bad); }
.bar rect.cancelled, .bar rect.unfinished, .bar rect.put-back { color: var(--warn); }
.axis text { fill: var(--dim); font: 12px system-ui, sans-serif; }
.log { border: 1px solid var(--line); border-radius: 6px; background: var(--card); margin: .35rem 0; padding: .25rem .75rem; }
.log summary { cursor: pointer; overflow-wrap: anywhere; font-family: ui-monospace, monospace; font-size: .83rem; }
@media (max-width: 46rem) {
  h1 { font-size: 1.2rem; }
  .row { grid-template-columns: minmax(0, 1fr) auto; gap: .1rem .6rem; }
  .row > .bar { grid-column: 1 / -1; grid-row: 2; height: .8rem; } .row > .axis { height: 1.25rem; } }
@media print {
  :root { --page: #fff; } main { max-width: none; padding: 0; }
  pre, .graph { max-height: none; } .failure, .step, dl div { break-inside: avoid; }
  details::details-content { content-visibility: visible; display: block; block-size: auto; } }
`;
