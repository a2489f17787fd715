// Files with each possible outcome, under any network, and what must be true afterwards.
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Check, ConfigInput } from '../../server/index.ts';
import { filesBelow, sha256, sha256OfFile } from './content.ts';
import { type EmbeddedLandfall, embedLandfall } from './landfall-embedded.ts';
import { idOf, readRecord } from './tus-requests.ts';

/** `fault`: two faults of the server, and then the file is accepted. */
export const ENDINGS = ['accept', 'reject', 'fault'] as const;
export type Ending = (typeof ENDINGS)[number];

export interface VerdictServer extends EmbeddedLandfall {
  /** How many inspections have started. */
  inspections(): number;
}

/** @param isAsked an inspection lasts `inspectionMs`, and until this returns true */
export async function startVerdictServer(
  ending: Ending,
  config: ConfigInput = {},
  inspectionMs = 0,
  isAsked: () => boolean = () => true,
): Promise<VerdictServer> {
  let inspections = 0;
  const check: Check = {
    name: 'ending',
    async run() {
      inspections += 1;
      if (inspectionMs > 0) await new Promise((resolve) => setTimeout(resolve, inspectionMs));
      while (!isAsked()) await new Promise((resolve) => setTimeout(resolve, 50));
      if (ending === 'fault' && inspections <= 2) throw new Error('The scanner is away.');
      return ending === 'reject' ? { code: 'ERR_CHECK_REFUSED', detail: 'For the test.' } : undefined;
    },
  };
  const server = await embedLandfall({ patience: 200, corsOrigins: '*', ...config }, { checks: [check] });
  return { ...server, inspections: () => inspections };
}

/** The outcome that a sender learns, with any client. */
export interface Told {
  outcome: 'success' | 'error';
  status: number;
  body: string;
  url: string;
}

/**
 * Checks that the sender learned the true verdict, the record has the same one, the bytes are where the verdict wants them, once and
 * nowhere else, and the inspection reached its verdict once.
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
    // The address may have a proxy's port; only the id counts.
    const record = await readRecord(`${server.files}/${idOf(told.url)}`);
    expect(record.state).toBe(ending === 'reject' ? 'rejected' : 'accepted');
    // Staged bytes are removed after the answer.
    const folder = join(server.dataDir, 'staging', record.id.slice(0, 2));
    await expect.poll(() => filesBelow(folder), { timeout: 60_000 }).not.toContain(record.id);
  }
}
