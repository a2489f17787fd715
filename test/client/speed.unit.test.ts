import { expect, test } from 'vitest';
import { SpeedMeter } from '../../client/handle/speed.ts';

test('the meter reports a steady speed exactly, after the first moments', () => {
  const meter = new SpeedMeter(0, 0);
  for (let ms = 100; ms <= 1000; ms += 100) meter.add(ms * 50, ms);
  expect(meter.bytesPerSecond(1000)).toBeCloseTo(50_000, 0);
});

test('a first burst into empty buffers does not count as speed', () => {
  const meter = new SpeedMeter(0, 0);
  meter.add(1e6, 1);
  expect(meter.bytesPerSecond(1)).toBeLessThan(5e6);
});

test('two seconds after a change of speed the meter shows half of it', () => {
  const meter = new SpeedMeter(0, 0);
  let position = 0;
  for (let ms = 100; ms <= 60_000; ms += 100) {
    position += 100;
    meter.add(position, ms);
  }
  expect(meter.bytesPerSecond(60_000)).toBeCloseTo(1000, 0);
  for (let ms = 60_100; ms <= 62_000; ms += 100) {
    position += 300;
    meter.add(position, ms);
  }
  expect(meter.bytesPerSecond(62_000)).toBeCloseTo(2000, 0);
});

test('the speed halves every two seconds while no byte is sent', () => {
  const meter = new SpeedMeter(0, 0);
  for (let ms = 100; ms <= 60_000; ms += 100) meter.add(ms, ms);
  expect(meter.bytesPerSecond(62_000)).toBeCloseTo(500, 0);
  expect(meter.bytesPerSecond(64_000)).toBeCloseTo(250, 0);
});

test('bytes of an earlier visit do not count as speed', () => {
  const meter = new SpeedMeter(0, 0);
  meter.rebase(5e9, 1000);
  meter.add(5e9 + 1000, 2000);
  expect(meter.bytesPerSecond(2000)).toBeLessThan(1001);
});

test('a lower offset after a failure gives no negative speed', () => {
  const meter = new SpeedMeter(0, 0);
  meter.add(1e6, 1000);
  meter.rebase(0, 1100);
  meter.add(100, 1200);
  expect(meter.bytesPerSecond(1200)).toBeGreaterThanOrEqual(0);
});

test('reports within one tick of the clock count with the next', () => {
  const meter = new SpeedMeter(0, 0);
  meter.add(500, 0);
  meter.add(1000, 1000);
  expect(meter.bytesPerSecond(1000)).toBeCloseTo(1000, 0);
});
