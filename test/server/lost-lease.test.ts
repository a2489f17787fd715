// A process loses its lease in the middle of a step: another process may work on the same upload by now, so this one writes
// nothing more.
import { stat } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { type FinishBed, openFinishBed } from './finish-bed.ts';
import { PATIENT } from './patient.ts';

const MIB = 1024 * 1024;
const CONTENT = Buffer.alloc(8 * MIB, 'what was sent\n');

/** Loses the lease with the first streamed chunk, and counts the chunks. */
function loseWhileReading(bed: FinishBed, lost: AbortController): { chunks: number } {
  const counted = { chunks: 0 };
  const open = bed.staging.open.bind(bed.staging);
  vi.spyOn(bed.staging, 'open').mockImplementation(async (id) => {
    const reader = await open(id);
    return {
      size: reader.size,
      read: (start, end) => reader.read(start, end),
      close: () => reader.close(),
      async *stream(start) {
        for await (const chunk of reader.stream(start)) {
          counted.chunks += 1;
          lost.abort(new Error('lost'));
          yield chunk;
        }
      },
    };
  });
  return counted;
}

async function expectUntouched(bed: FinishBed, id: UploadId): Promise<void> {
  await vi.waitFor(
    async () => expect(await bed.ledger.get(id)).toMatchObject({ state: 'inspecting', leaseOwner: null, strikes: 0 }),
    PATIENT,
  );
  expect(await bed.published()).toEqual([]);
  expect(await bed.staged()).toHaveLength(1);
  expect(bed.verdictEvents()).toEqual([]);
}

describe('a lease that is lost', () => {
  it('while stored bytes are read back ends the reading', async () => {
    const lost = new AbortController();
    const bed = await openFinishBed({ lost: lost.signal });
    const id = await bed.put(CONTENT, { checksum: 0, checksumOffset: 0 });
    const counted = loseWhileReading(bed, lost);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    await expectUntouched(bed, id);
    expect(counted.chunks).toBe(1);
  });

  it('while the content is hashed ends the hashing', async () => {
    const lost = new AbortController();
    let hashed = 0;
    const bed = await openFinishBed({
      lost: lost.signal,
      async digest(content) {
        for await (const chunk of content) {
          hashed += chunk.byteLength;
          lost.abort(new Error('lost'));
        }
        return 'a digest';
      },
    });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    await expectUntouched(bed, id);
    expect(hashed).toBe(MIB);
  });

  it('while a check reads ends its reading, whether the check looks at the signal or not', async () => {
    const lost = new AbortController();
    let read = 0;
    const bed = await openFinishBed({
      lost: lost.signal,
      checks: [
        {
          name: 'of the test',
          async run(upload) {
            for await (const chunk of upload.stream()) {
              read += chunk.byteLength;
              lost.abort(new Error('lost'));
            }
            return undefined;
          },
        },
      ],
    });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    await expectUntouched(bed, id);
    expect(read).toBe(MIB);
  });

  it('before the file is published leaves it unpublished', async () => {
    const lost = new AbortController();
    const bed = await openFinishBed({ lost: lost.signal });
    const publish = bed.storage.publish.bind(bed.storage);
    vi.spyOn(bed.storage, 'publish').mockImplementation((target, signal) => {
      lost.abort(new Error('lost'));
      return publish(target, signal);
    });
    const id = await bed.put(CONTENT);
    await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte');
    await expectUntouched(bed, id);
  });

  it('while the bytes are copied again leaves the old bytes to the new holder', async () => {
    const lost = new AbortController();
    const bed = await openFinishBed({ lost: lost.signal });
    const id = await bed.put(CONTENT);
    const { ino } = await stat(bed.staging.path(id));
    const renew = bed.staging.renew.bind(bed.staging);
    vi.spyOn(bed.staging, 'renew').mockImplementation((...parameters) => {
      lost.abort(new Error('lost'));
      return renew(...parameters);
    });
    expect(await bed.finisher.inspectionStarts.start(id, CONTENT.byteLength, 'byte', { proof: 'sync-failed' })).toBe(false);
    expect((await stat(bed.staging.path(id))).ino).toBe(ino);
    expect(await bed.ledger.get(id)).toMatchObject({ state: 'receiving', attempt: 0 });
  });
});
