// The chart behind the drop zone: depth lines around an island, drawn from four sines instead of shipped as an image.
import { s } from './dom.ts';

const RINGS = 9;
const POINTS = 72;
const WIDTH = 1200;
const HEIGHT = 520;

export function ring(index: number): string {
  const reach = 46 + index * 46 + index * index * 3.2;
  const wobble = 0.34 / (1 + index * 0.26);
  let path = '';
  for (let step = 0; step < POINTS; step++) {
    const angle = (step / POINTS) * 2 * Math.PI;
    const shape =
      Math.sin(2 * angle + 0.7) * 0.5 +
      Math.sin(3 * angle - 1.1 + index * 0.09) * 0.34 +
      Math.sin(5 * angle + 2.3 - index * 0.16) * 0.16 +
      Math.sin(7 * angle + index * 0.4) * 0.07;
    const radius = reach * (1 + wobble * shape);
    const x = WIDTH / 2 + radius * Math.cos(angle) * 1.42;
    const y = HEIGHT / 2 + radius * Math.sin(angle) * 0.82;
    path += `${step === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
  }
  return `${path}Z`;
}

export function contours(): SVGElement {
  const rings = Array.from({ length: RINGS }, (_, index) => s('path', { d: ring(index), class: index === 0 ? 'land' : 'depth' }));
  return s(
    'svg',
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: 'xMidYMid slice',
      class: 'contours',
      'aria-hidden': 'true',
      focusable: 'false',
    },
    ...rings,
  );
}
