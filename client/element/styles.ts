// Colours follow the page's `color-scheme`; every one can be replaced from outside by the custom property named first.

const TOKENS = `
:host {
  display: block;
  container-type: inline-size;
  font-family: var(--landfall-font, inherit);
  font-size: var(--landfall-font-size, 1rem);
  line-height: 1.45;
  color: var(--_ink);
  text-align: start;
  --_ink: var(--landfall-ink, light-dark(#10242c, #e6eef0));
  --_muted: var(--landfall-muted, light-dark(#52666e, #9cb0b7));
  --_surface: var(--landfall-surface, light-dark(#ffffff, #121d21));
  --_raised: var(--landfall-raised, light-dark(#eef3f3, #1b2a2f));
  --_line: var(--landfall-line, light-dark(#d6dfe0, #263840));
  --_track: var(--landfall-track, light-dark(#dfe7e8, #24353b));
  --_accent: var(--landfall-accent, light-dark(#0a5c72, #62c4d6));
  --_on-accent: var(--landfall-on-accent, light-dark(#ffffff, #04222b));
  --_good: var(--landfall-good, light-dark(#1b7548, #62cd91));
  --_warn: var(--landfall-warn, light-dark(#865400, #e6b65c));
  --_bad: var(--landfall-bad, light-dark(#ad2f1a, #ff9480));
  --_radius: var(--landfall-radius, 14px);
  --_target: 2.5rem;
}
:host([hidden]) { display: none; }
:host([theme='light']) { color-scheme: light; }
:host([theme='dark']) { color-scheme: dark; }
:host([theme='auto']) { color-scheme: light dark; }
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
@media (pointer: coarse) { :host { --_target: 2.75rem; } }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;

const CONTROLS = `
button, .button {
  font: inherit;
  font-weight: 550;
  color: inherit;
  display: inline-flex;
  align-items: center;
  justify-content: center;
  gap: .45rem;
  min-height: var(--_target);
  padding: .35rem .95rem;
  border: 1px solid transparent;
  border-radius: calc(var(--_radius) * .64);
  background: none;
  text-decoration: none;
  cursor: pointer;
  transition: background-color .12s, border-color .12s;
}
button:focus-visible, .button:focus-visible, a:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
.primary { background: var(--_accent); color: var(--_on-accent); padding-inline: 1.25rem; }
.primary:hover { background: color-mix(in oklab, var(--_accent), var(--_ink) 18%); }
.outlined { border-color: color-mix(in oklab, var(--_line), var(--_muted) 35%); background: var(--_surface); }
.outlined:hover { background: var(--_raised); }
.quiet { color: var(--_muted); padding-inline: .6rem; }
.quiet:hover { color: var(--_ink); background: var(--_raised); }
.inline { display: inline; min-height: 0; padding: .1rem .25rem; margin-inline-start: .15rem; color: var(--_accent); text-decoration: underline; text-underline-offset: .18em; border-radius: 4px; }
.square { width: var(--_target); padding: 0; }
.icon { width: 1.25rem; height: 1.25rem; flex: none; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }
.icon .solid { fill: currentColor; }
`;

const LAYOUT = `
.shell { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }
.side, .main { display: grid; gap: 1rem; align-content: start; min-width: 0; }
@container (min-width: 56rem) {
  .shell.busy { grid-template-columns: minmax(17rem, 21rem) minmax(0, 1fr); gap: 1.5rem; }
  .shell.busy .side { position: sticky; top: 1.5rem; align-self: start; }
}
.panel { background: var(--_surface); border: 1px solid var(--_line); border-radius: var(--_radius); }
`;

const ZONE = `
.zone {
  position: relative;
  isolation: isolate;
  overflow: hidden;
  display: grid;
  place-items: center;
  border: 1px solid var(--_line);
  border-radius: var(--_radius);
  background: var(--_water);
  text-align: center;
  --_water: color-mix(in oklab, var(--_surface), var(--_accent) 24%);
}
.zone::after {
  content: '';
  position: absolute;
  inset: .5rem;
  border: 1.5px dashed color-mix(in oklab, var(--_line), var(--_accent) 45%);
  border-radius: calc(var(--_radius) * .68);
  pointer-events: none;
  transition: border-color .15s;
}
.zone .content { padding: 2.25rem 1.5rem; display: grid; justify-items: center; gap: .9rem; min-height: min(26rem, 62vh); align-content: center; }
.zone h2 { margin: 0; font-size: clamp(1.35rem, 1rem + 2cqi, 1.9rem); font-weight: 650; letter-spacing: -.015em; line-height: 1.2; text-wrap: balance; }
.zone .choices { display: flex; flex-wrap: wrap; gap: .6rem; justify-content: center; }
.zone .rules { margin: .35rem 0 0; max-width: 44ch; color: var(--_muted); font-size: .875em; text-wrap: balance; }
.contours { position: absolute; inset: 0; width: 100%; height: 100%; z-index: -1; stroke: color-mix(in oklab, var(--_accent) 24%, transparent); stroke-width: 1.2; }
.contours path { vector-effect: non-scaling-stroke; }
.contours .depth { fill: color-mix(in oklab, var(--_surface) 24%, transparent); }
.contours .land { fill: var(--_surface); stroke: color-mix(in oklab, var(--_accent) 50%, transparent); stroke-width: 1.6; }
.busy .contours { display: none; }
@container (max-width: 44rem) { .contours { inset: -22% auto auto -85%; width: 270%; height: 144%; } }
.contours path { transform-origin: center; transition: transform .45s cubic-bezier(.2, .8, .3, 1); }
.zone.over { border-color: var(--_accent); --_water: color-mix(in oklab, var(--_surface), var(--_accent) 30%); }
.zone.over::after { border-color: var(--_accent); }
.zone.over .contours path { transform: scale(1.06); }
.busy .zone { --_water: color-mix(in oklab, var(--_surface), var(--_accent) 4%); }
.busy .zone .content { min-height: 0; padding: 1.5rem 1rem 1.4rem; gap: .75rem; }
.busy .zone h2 { font-size: 1.0625em; font-weight: 600; letter-spacing: -.005em; }
.busy .zone .rules { font-size: .8125em; margin-top: 0; }
@container (max-width: 55.99rem) {
  .busy .zone .content { padding: 1.25rem 1rem; grid-auto-flow: column; justify-content: center; align-items: center; column-gap: 1.25rem; }
  .busy .zone .rules { display: none; }
}
@container (max-width: 30rem) {
  .busy .zone h2 { display: none; }
}
`;

const OVERVIEW = `
.overview { padding: 1.15rem 1.25rem 1.1rem; display: grid; gap: .8rem; }
.overview .head { display: flex; align-items: baseline; justify-content: space-between; gap: .75rem; flex-wrap: wrap; }
.overview .figure { font-size: 2.75em; font-weight: 650; letter-spacing: -.035em; line-height: 1; font-variant-numeric: tabular-nums; }
.overview .figure.words { font-size: 1.3em; letter-spacing: -.015em; line-height: 1.2; }
.overview .files { color: var(--_muted); font-size: .9375em; font-variant-numeric: tabular-nums; }
.overview .facts { color: var(--_muted); font-size: .9375em; font-variant-numeric: tabular-nums; }
.overview .choices { display: flex; flex-wrap: wrap; gap: .5rem; }
.overview .choices button { padding-inline: .8rem; }

/* The course: dots still to sail, a line behind, a vessel, and land at the end. */
.course { position: relative; height: 1.5rem; --_at: 0; }
.course::before {
  content: '';
  position: absolute;
  inset-inline: 0 2.5rem;
  top: calc(50% - 1.5px);
  height: 3px;
  background: radial-gradient(circle closest-side, color-mix(in oklab, var(--_line), var(--_muted) 55%) 92%, transparent) 0 / 9px 3px repeat-x;
}
.course .sailed { position: absolute; inset-inline-start: 0; top: calc(50% - 1.5px); height: 3px; border-radius: 2px; background: var(--_accent); width: calc((100% - 2.5rem) * var(--_at)); box-shadow: 0 0 0 3px var(--_surface); transition: width .4s linear; }
.course .vessel { position: absolute; inset-inline-start: calc((100% - 2.5rem) * var(--_at) - 7px); top: calc(50% - 7px); width: 14px; height: 14px; border-radius: 50%; background: var(--_accent); border: 3px solid var(--_surface); box-shadow: 0 0 0 1.5px var(--_accent); transition: inset-inline-start .4s linear; }
.course .shore { position: absolute; inset-inline-end: 0; top: 0; width: 2.25rem; height: 1.5rem; color: var(--_muted); fill: none; stroke: currentColor; stroke-width: 14; }
.course .shore .land { fill: color-mix(in oklab, currentColor 30%, transparent); }
.overview[data-tone='good'] .shore { color: var(--_good); }
.overview[data-tone='good'] .shore .land { fill: currentColor; }
.overview[data-tone='good'] .sailed, .overview[data-tone='good'] .vessel { background: var(--_good); }
.overview[data-tone='good'] .vessel { opacity: 0; }
.overview[data-tone='good'] .figure { color: var(--_good); }
.overview[data-tone='warn'] .sailed, .overview[data-tone='warn'] .vessel { background: var(--_warn); }
.overview[data-tone='warn'] .vessel { box-shadow: 0 0 0 1.5px var(--_warn); }
.overview[data-tone='still'] .sailed, .overview[data-tone='still'] .vessel { background: var(--_muted); }
.overview[data-tone='still'] .vessel { box-shadow: 0 0 0 1.5px var(--_muted); }
`;

const ROWS = `
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
.name { flex: 1; min-width: 0; display: flex; font-weight: 600; unicode-bidi: isolate; }
.name .stem { overflow: hidden; text-overflow: ellipsis; white-space: pre; }
.name .extension { flex: none; white-space: pre; }
.folder { display: block; color: var(--_muted); font-size: .8125em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; margin-bottom: -.3rem; }
.percent { flex: none; font-weight: 600; font-variant-numeric: tabular-nums; }
.bar { position: relative; height: 6px; border-radius: 3px; background: var(--_track); overflow: hidden; }
.bar span { position: absolute; inset-block: 0; inset-inline-start: 0; width: 100%; transform-origin: left; transform: scaleX(var(--_at, 0)); transition: transform .35s linear; }
.bar:dir(rtl) span { transform-origin: right; }
.bar .sent { background: color-mix(in oklab, var(--_tone) 42%, var(--_track)); }
.bar .confirmed { background: var(--_tone); }
/* Dots between facts; the one that would begin a line is cut off. */
.facts { display: flex; flex-wrap: wrap; margin-inline-start: -1.1rem; clip-path: inset(0 0 0 1.1rem); }
.facts:dir(rtl) { clip-path: inset(0 1.1rem 0 0); }
.facts > span { position: relative; padding-inline-start: 1.1rem; }
.facts > span::before { content: '·'; position: absolute; inset-inline-start: .42rem; font-weight: 700; color: var(--_muted); }
.facts > .fact { white-space: nowrap; }
.status { color: var(--_muted); font-size: .875em; font-variant-numeric: tabular-nums; }
.status .state { color: var(--_tone-ink); font-weight: 550; }
.status { display: flex; align-items: flex-start; gap: .3rem; }
.status .icon { display: none; width: 1.1rem; height: 1.1rem; margin-top: .1rem; stroke-width: 2.3; color: var(--_good); }
.status .icon.shown { display: block; }
.status .icon.shown + .facts { margin-inline-start: -1.1rem; }
.reason { margin: 0; font-size: .9375em; overflow-wrap: anywhere; max-width: 68ch; }
.actions { grid-area: actions; display: flex; align-items: center; justify-content: flex-end; gap: .15rem; }
.list .actions { min-width: calc(2 * var(--_target) + .15rem); }
.question { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem; font-size: .9375em; padding-top: .25rem; }
.question p { margin: 0; flex: 1 1 14rem; }
.danger { color: var(--_bad); }

.row { --_tone: var(--_accent); --_tone-ink: var(--_muted); }
.row[data-tone='moving'] { --_tone-ink: var(--_accent); }
.row[data-tone='good'] { --_tone: var(--_good); --_tone-ink: var(--_good); }
.row[data-tone='good'] .tile { background: color-mix(in oklab, var(--_good) 13%, var(--_surface)); color: var(--_good); }
.row[data-tone='warn'] { --_tone: var(--_warn); --_tone-ink: var(--_warn); }
.row[data-tone='bad'] { --_tone: var(--_bad); --_tone-ink: var(--_bad); }
.row[data-tone='bad'] .tile { background: color-mix(in oklab, var(--_bad) 12%, var(--_surface)); color: var(--_bad); }
.row[data-tone='still'] { --_tone: color-mix(in oklab, var(--_muted) 70%, var(--_track)); }
.row[data-bar='none'] .bar, .row[data-bar='none'] .percent { display: none; }
.row[data-bar='looking'] .bar .confirmed { animation: looking 1.6s ease-in-out infinite alternate; }
@keyframes looking { to { opacity: .45; } }
@container (max-width: 34rem) {
  .row { grid-template-columns: minmax(0, 1fr) auto; grid-template-areas: none; padding-inline: 1rem; gap: .45rem .5rem; }
  .row .body { display: contents; }
  .row .body > * { grid-column: 1 / -1; }
  .row .tile { display: none; }
  .row .status { grid-column: 1; }
  .row .actions { grid-area: auto; grid-column: 2; margin-block: -.35rem; margin-inline-end: -.6rem; min-width: 0; }
  .row .reason, .row .question, .row .notice { order: 1; }
}

.earlier { padding: 1.1rem 0 0; overflow: hidden; }
.earlier > header { padding: 0 1.25rem .9rem; }
.earlier h2 { margin: 0 0 .2rem; font-size: 1.0625em; font-weight: 650; display: flex; align-items: center; gap: .5rem; }
.earlier header p { margin: 0; color: var(--_muted); font-size: .9375em; max-width: 60ch; text-wrap: pretty; }
.earlier .row { border-top: 1px solid var(--_line); }
.earlier .notice { margin: .3rem 0 0; color: var(--_warn); font-size: .9375em; }
@container (max-width: 34rem) {
  .earlier .row .status { grid-column: 1 / -1; }
  .earlier .row .actions { grid-column: 1 / -1; order: 1; justify-content: flex-start; margin: .25rem 0 0; gap: .4rem; }
}
`;

const MOTION = `
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { transition: none !important; animation: none !important; }
}
@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .bar .confirmed, .course .sailed { background: Highlight; forced-color-adjust: none; }
  .primary { border-color: ButtonText; }
}
`;

let sheet: CSSStyleSheet | undefined;

/** One sheet for all elements of a document; constructed, so that a content security policy without `unsafe-inline` allows it. */
export function styleSheet(): CSSStyleSheet {
  if (sheet === undefined) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync([TOKENS, CONTROLS, LAYOUT, ZONE, OVERVIEW, ROWS, MOTION].join('\n'));
  }
  return sheet;
}
