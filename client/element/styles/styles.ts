import { OVERVIEW_STYLES } from './overview.ts';
import { HISTORY_STYLES, ROW_STYLES } from './rows.ts';
import { ZONE_STYLES } from './zone.ts';

// Colours follow the page's `color-scheme`. A page replaces a colour by the custom property that `var()` names.
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
.announcer { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
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
/* Inside, because the list clips what is outside. */
.row:focus-visible, .overview:focus-visible { outline: 2px solid var(--_accent); outline-offset: -3px; border-radius: var(--_radius); }
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

const MOTION = `
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { transition: none !important; animation: none !important; }
}
@media (forced-colors: active) {
  .bar, .course::before { border: 1px solid CanvasText; }
  .bar .confirmed, .course .sailed, .course .vessel { background: Highlight; forced-color-adjust: none; }
  .bar .sent { background: GrayText; forced-color-adjust: none; }
  .primary { border-color: ButtonText; }
}
`;

let sheet: CSSStyleSheet | undefined;

/** One sheet for all elements of a document. It is constructed, because a Content-Security-Policy may forbid inline styles. */
export function styleSheet(): CSSStyleSheet {
  if (sheet === undefined) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync([TOKENS, CONTROLS, LAYOUT, ZONE_STYLES, OVERVIEW_STYLES, ROW_STYLES, HISTORY_STYLES, MOTION].join('\n'));
  }
  return sheet;
}
