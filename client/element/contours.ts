// The nautical chart behind the drop zone: depth lines around an island, computed from a few sines instead of an image file.
import { s } from './dom.ts';

const RINGS = 8;
const POINTS = 180;
const WIDTH = 1200;
const HEIGHT = 520;

/** Path of a depth line. Index 0 is the shore; higher ones lie further out. */
export function ring(index: number): string {
  const reach = 186 + index * 52 + index * index * 5;
  const wobble = 0.19 / (1 + index * 0.1);
  let path = '';
  for (let step = 0; step < POINTS; step++) {
    const angle = (step / POINTS) * 2 * Math.PI;
    const shape =
      Math.sin(2 * angle + 0.7 + index * 0.06) * 0.44 +
      Math.sin(3 * angle - 1.1 + index * 0.11) * 0.36 +
      Math.sin(5 * angle + 2.3 - index * 0.2) * 0.2 +
      Math.sin(8 * angle + index * 0.5) * 0.09;
    const radius = reach * (1 + wobble * shape);
    const x = WIDTH / 2 + radius * Math.cos(angle) * 1.34;
    const y = HEIGHT / 2 + radius * Math.sin(angle) * 0.94;
    path += `${step === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
  }
  return `${path}Z`;
}

export function contours(): SVGElement {
  const rings = Array.from({ length: RINGS }, (_, index) => s('path', { d: ring(index), class: index === 0 ? 'land' : 'depth' }));
  return s(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', class: 'contours', 'aria-hidden': 'true', focusable: 'false' },
    ...rings.reverse(),
  );
}

/** The island alone, shown at the end of the overall progress bar. */
export function island(): SVGElement {
  return s(
    'svg',
    { viewBox: '215 -10 770 540', class: 'shore', 'aria-hidden': 'true', focusable: 'false' },
    s('path', { d: ring(1) }),
    s('path', { d: ring(0), class: 'land' }),
  );
}
