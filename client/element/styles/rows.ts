export const ROW_STYLES = `
.rows { list-style: none; margin: 0; padding: 0; overflow: hidden; }
.row {
  display: grid;
  grid-template-columns: auto minmax(0, 1fr) auto;
  grid-template-areas: 'tile body actions';
  column-gap: .9rem;
  align-items: center;
  padding: .95rem 1rem .95rem 1.1rem;
  content-visibility: auto;
  contain-intrinsic-size: auto 5.5rem;
}
.row + .row { border-top: 1px solid var(--_line); }
.tile {
  grid-area: tile;
  align-self: start;
  width: 2.75rem;
  height: 2.75rem;
  display: grid;
  place-items: center;
  border-radius: calc(var(--_radius) * .55);
  background: var(--_raised);
  color: var(--_muted);
  font-size: .6875rem;
  font-weight: 700;
  letter-spacing: .03em;
  overflow: hidden;
}
.body { grid-area: body; min-width: 0; display: grid; gap: .4rem; }
.title { display: flex; align-items: baseline; gap: .75rem; min-width: 0; }
/* The box follows the direction of the page, and its content the direction of the name. */
.name { flex: 1; min-width: 0; display: flex; font-weight: 600; }
.name bdi { display: flex; min-width: 0; }
.name .stem { overflow: hidden; text-overflow: ellipsis; white-space: pre; }
.name .tail { flex: none; white-space: pre; }
.folder { display: flex; color: var(--_muted); font-size: .8125em; margin-bottom: -.3rem; }
.folder bdi { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.percent { flex: none; font-weight: 600; font-variant-numeric: tabular-nums; }
.bar { position: relative; height: 6px; border-radius: 3px; background: var(--_track); overflow: hidden; }
.bar span { position: absolute; inset-block: 0; inset-inline-start: 0; width: 100%; transform-origin: left; transform: scaleX(var(--_at, 0)); transition: transform .35s linear; }
.bar:dir(rtl) span { transform-origin: right; }
.bar .sent { background: color-mix(in oklab, var(--_tone) 42%, var(--_track)); }
.bar .confirmed { background: var(--_tone); }
/* Dots between facts. The dot at the beginning of a line is clipped. */
.facts { display: flex; flex-wrap: wrap; margin-inline-start: -1.1rem; clip-path: inset(0 0 0 1.1rem); }
.facts:dir(rtl) { clip-path: inset(0 1.1rem 0 0); }
.facts > span { position: relative; padding-inline-start: 1.1rem; }
.facts > span::before { content: '·'; position: absolute; inset-inline-start: .42rem; font-weight: 700; color: var(--_muted); }
.facts > .fact { white-space: nowrap; }
.status { color: var(--_muted); font-size: .875em; font-variant-numeric: tabular-nums; }
.status .state { color: var(--_tone-ink); font-weight: 550; }
.status { display: flex; align-items: flex-start; gap: .3rem; }
.status .icon { display: none; width: 1.1rem; height: 1.1rem; margin: .1rem 0 0 -.2rem; stroke-width: 2.3; color: var(--_good); }
.status .icon.shown { display: block; }
.status .icon.shown + .facts { margin-inline-start: -1.1rem; }
.reason { margin: 0; font-size: .9375em; overflow-wrap: anywhere; max-width: 68ch; }
.actions { grid-area: actions; display: flex; align-items: center; justify-content: flex-end; gap: .15rem; }
.list .actions, .completed .actions { min-width: calc(2 * var(--_target) + .15rem); }
.actions .square.wide { width: auto; padding-inline: .6rem; color: var(--_good); }
.actions .copy-result { font-size: .875em; white-space: nowrap; }

.row { --_tone: var(--_accent); --_tone-ink: var(--_muted); }
.row[data-tone='moving'] { --_tone-ink: var(--_accent); }
.row[data-tone='good'] { --_tone: var(--_good); --_tone-ink: var(--_good); }
.row[data-tone='good'] .tile { background: color-mix(in oklab, var(--_good) 13%, var(--_surface)); color: var(--_good); }
.row[data-tone='warn'] { --_tone: var(--_warn); --_tone-ink: var(--_warn); }
.row[data-tone='bad'] { --_tone: var(--_bad); --_tone-ink: var(--_bad); }
.row[data-tone='bad'] .tile { background: color-mix(in oklab, var(--_bad) 12%, var(--_surface)); color: var(--_bad); }
.row[data-tone='still'] { --_tone: color-mix(in oklab, var(--_muted) 70%, var(--_track)); }
.row[data-bar='none'] .bar, .row[data-bar='none'] .percent { display: none; }
.row[data-bar='inspecting'] .bar .confirmed { animation: inspecting 1.6s ease-in-out infinite alternate; }
@keyframes inspecting { to { opacity: .45; } }
@container (max-width: 34rem) {
  .row { grid-template-columns: minmax(0, 1fr) auto; grid-template-areas: none; padding-inline: 1rem; gap: .45rem .5rem; }
  .row .body { display: contents; }
  .row .body > * { grid-column: 1 / -1; }
  .row .tile { display: none; }
  .row .status { grid-column: 1; }
  .row .actions { grid-area: auto; grid-column: 2; margin-block: -.35rem; margin-inline-end: -.6rem; min-width: 0; }
  .row .reason, .row .notice { order: 1; }
}

`;

export const HISTORY_STYLES = `
.unfinished, .completed { padding: 1.1rem 0 0; overflow: hidden; }
.unfinished > header, .completed > header { padding: 0 1.25rem .9rem; }
.completed > header { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .5rem; }
.completed .choices { display: flex; flex-wrap: wrap; gap: .5rem; }
.completed .row { border-top: 1px solid var(--_line); }
.unfinished h2, .completed h2 { margin: 0 0 .2rem; font-size: 1.0625em; font-weight: 650; display: flex; align-items: center; gap: .5rem; }
.unfinished header p { margin: 0; color: var(--_muted); font-size: .9375em; max-width: 64ch; text-wrap: balance; }
.unfinished .row { border-top: 1px solid var(--_line); }
.unfinished .notice { margin: .3rem 0 0; color: var(--_warn); font-size: .9375em; }
@container (max-width: 34rem) {
  .unfinished > header, .completed > header { padding-inline: 1rem; }
  /* A button on a line of its own is aligned with the text. */
  .completed .choices [hidden] + .quiet { margin-inline-start: -.6rem; }
  .unfinished .row .status { grid-column: 1 / -1; }
  .unfinished .row .actions { grid-column: 1 / -1; order: 1; justify-content: flex-start; margin: .25rem 0 0; gap: .4rem; }
}
`;
