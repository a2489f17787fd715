export const OVERVIEW_STYLES = `
.overview { padding: 1.15rem 1.25rem 1.1rem; display: grid; gap: .8rem; }
.overview .head { display: flex; align-items: baseline; justify-content: space-between; gap: .75rem; flex-wrap: wrap; }
.overview .figure { font-size: 2.75em; font-weight: 650; letter-spacing: -.035em; line-height: 1; font-variant-numeric: tabular-nums; }
.overview .figure.words { font-size: 1.3em; letter-spacing: -.015em; line-height: 1.2; }
.overview .files { color: var(--_muted); font-size: .9375em; font-variant-numeric: tabular-nums; }
.overview .facts { color: var(--_muted); font-size: .9375em; font-variant-numeric: tabular-nums; }
/* Buttons fill each row: two next to each other, and a third one below across the whole width. */
.overview .choices { display: flex; flex-wrap: wrap; gap: .5rem; }
.overview .choices button { padding-inline: .6rem; flex: 1 1 calc(50% - .25rem); white-space: nowrap; }
@container (min-width: 34rem) { .overview .choices button { flex: 0 0 auto; padding-inline: .8rem; } }
@container (min-width: 56rem) { .overview .choices button { flex: 1 1 calc(50% - .25rem); padding-inline: .6rem; } }

/* The course is a progress bar: a line for what is sent, dots for the rest, a vessel between them, and an island at the end. */
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
