import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { processorSeconds } from './processor-time.ts';
import { type Limit, renderReport } from './report.ts';
import { median, medianRatio, withSpread } from './samples.ts';

describe('the numbers of the benchmark', () => {
  test('have a median between the middle two when their count is even', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([9, 1, 5])).toBe(5);
    expect(median([])).toBeNaN();
  });

  test('have ratios taken round by round, so that a slow round affects both', () => {
    expect(medianRatio([1, 10, 2], [2, 20, 4])).toBe(0.5);
    expect(medianRatio([1], [])).toBeNaN();
  });

  test('have a spread from the minimum to the maximum', () => {
    expect(withSpread([3, 1, 2], 1)).toBe('2.0 (1.0–3.0)');
    expect(withSpread([], 1)).toBe('–');
  });

  test('meet a limit at its bound and miss it beyond', () => {
    const limit: Limit = { what: 'CPU', measured: 0.5, most: 0.5, digits: 2, unit: '×' };
    const report = { title: 'One', how: 'Somehow.', tables: [], notes: [] };
    expect(renderReport({ ...report, limits: [limit] })).toContain('| CPU | at most 0.5× | 0.50× | held |');
    expect(renderReport({ ...report, limits: [{ ...limit, measured: 0.51 }] })).toContain('| 0.51× | **missed** |');
  });

  test('include the processor time of children that the process group has reaped', async () => {
    // A grandchild does the work, and has ended when the test reads the time.
    const script = 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done';
    const child = spawn('sh', ['-c', `sh -c '${script}'; echo done; read line`], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    expect(processorSeconds(child.pid ?? 0)).toBeGreaterThan(0.01);
    child.stdin.end();
    await once(child, 'exit');
    expect(processorSeconds(child.pid ?? 0)).toBe(0);
  });
});
