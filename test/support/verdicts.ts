// Files that end in each of the ways there are, whatever the network does, and what must be true afterwards.
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Check, ConfigInput } from '../../server/index.ts';
import { filesBelow, sha256, sha256OfFile } from './content.ts';
import { type EmbeddedLandfall, embedLandfall } from './landfall-embedded.ts';
import { idOf, readRecord } from './tus-requests.ts';

/** `fault`: our own, twice, and then the file is fine. */
export const ENDINGS = ['accept', 'reject', 'fault'] as const;
export type Ending = (typeof ENDINGS)[number];

export interface VerdictServer extends EmbeddedLandfall {
  /** How often the inspection was begun. */
  inspections(): number;
}

export async function startVerdictServer(ending: Ending, config: ConfigInput = {}, inspectionMs = 0): Promise<VerdictServer> {
  let inspections = 0;
  const check: Check = {
    name: 'ending',
    async run() {
      inspections += 1;
      if (inspectionMs > 0) await new Promise((resolve) => setTimeout(resolve, inspectionMs));
      if (ending === 'fault' && inspections <= 2) throw new Error('The scanner is away.');
      return ending === 'reject' ? { code: 'ERR_CHECK_REFUSED', detail: 'For the test.' } : undefined;
    },
  };
  const server = await embedLandfall({ patience: 200, corsOrigins: '*', ...config }, { checks: [check] });
  return { ...server, inspections: () => inspections };
}

/** What a sender is told, by whatever client. */
export interface Told {
  outcome: 'success' | 'error';
  status: number;
  body: string;
  url: string;
}

/**
 * The sender was told the truth; the record says the same; the bytes are where the verdict wants them, once, and
 * nowhere else; and the inspection came to its verdict once.
 */
export async function expectTrueVerdict(server: VerdictServer, ending: Ending, told: Told, bytes: Buffer): Promise<void> {
  const files = join(server.dataDir, 'files');
  if (ending === 'reject') {
    expect(told).toMatchObject({ outcome: 'error', status: 422 });
    expect(told.body).toContain('ERR_CHECK_REFUSED');
  } else {
    expect(told).toMatchObject({ outcome: 'success' });
  }
  expect(server.inspections()).toBe(ending === 'fault' ? 3 : 1);
  const stored = await filesBelow(files);
  if (ending === 'reject') {
    expect(stored).toEqual([]);
  } else {
    expect(stored).toHaveLength(1);
    expect(await sha256OfFile(join(files, stored[0] ?? ''))).toBe(sha256(bytes));
  }
  if (told.url !== '') {
    // A proxy's port in the address: the id is what counts.
    const record = await readRecord(`${server.files}/${idOf(told.url)}`);
    expect(record.state).toBe(ending === 'reject' ? 'rejected' : 'accepted');
    // They go after the answer.
    const folder = join(server.dataDir, 'staging', record.id.slice(0, 2));
    await expect.poll(() => filesBelow(folder), { timeout: 60_000 }).not.toContain(record.id);
  }
}
