export const ZONE_STYLES = `
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
.zone .content { padding: 2.25rem 1.5rem; display: grid; justify-items: center; gap: .9rem; min-height: min(26rem, 52vh); align-content: center; }
.zone h2 { margin: 0; font-size: clamp(1.35rem, 1rem + 2cqi, 1.9rem); font-weight: 650; letter-spacing: -.015em; line-height: 1.2; text-wrap: balance; }
.zone .choices { display: flex; flex-wrap: wrap; gap: .6rem; justify-content: center; }
.zone .rules { margin: .35rem 0 0; max-width: 44ch; color: var(--_muted); font-size: .875em; text-wrap: balance; }
.contours { position: absolute; inset: 0; width: 100%; height: 100%; z-index: -1; stroke: color-mix(in oklab, var(--_accent) 24%, transparent); stroke-width: 1.2; }
.contours path { vector-effect: non-scaling-stroke; }
.contours .depth { fill: color-mix(in oklab, var(--_surface) 24%, transparent); }
.contours .land { fill: var(--_surface); stroke: color-mix(in oklab, var(--_accent) 50%, transparent); stroke-width: 1.6; }
.busy .contours { display: none; }
@container (max-width: 68rem) { .contours { inset: 0 auto auto -16%; width: 132%; } }
@container (max-width: 58rem) { .contours { inset: 0 auto auto -28%; width: 156%; } }
@container (max-width: 36rem) { .contours { inset: -22% auto auto -85%; width: 270%; height: 144%; } }
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
