// Proved bytes would survive a power cut; no client may be told of others. Tests which bytes count as proved.
import { mkdir, rm, rmdir } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Confirmations } from '../../server/staging/confirmations.ts';
import { makeAllDurable, returnToProvenOffsets } from '../../server/staging/power-cut.ts';
import { uploadId } from '../support/upload-ids.ts';
import { openFinishBed } from './finish-bed.ts';

const CONTENT = Buffer.from('a line of text that came from a sender\n'.repeat(20));
const LENGTH = CONTENT.byteLength;

function confirmations({ ledger, staging, syncFailures }: Awaited<ReturnType<typeof openFinishBed>>): Confirmations {
  return new Confirmations({ ledger, staging, syncFailures, durability: 'chunk', isWrittenElsewhere: async () => false });
}

describe('the first start after a power cut', () => {
  it('ends when every upload was reset to its proven bytes, not before', async () => {
    const bed = await openFinishBed();
    const { ledger, staging } = bed;
    const ids = ['1', '2', '3'].map(uploadId);
    for (const id of ids) await bed.put(CONTENT, { id, length: 2000, provenOffset: 100 });
    await ledger.facts.set('boot', 'an earlier one');
    // A fault interrupts it.
    const broken = staging.path(ids[1] ?? uploadId('2'));
    await rm(broken);
    await mkdir(broken);
    await expect(returnToProvenOffsets(ledger, staging)).rejects.toThrow('EISDIR');
    expect(await Promise.all(ids.map((id) => staging.size(id)))).toEqual([100, expect.any(Number), LENGTH]);
    expect(await ledger.facts.get('boot')).toBe('an earlier one');
    await rmdir(broken);
    await returnToProvenOffsets(ledger, staging);
    expect(await Promise.all(ids.map((id) => staging.size(id)))).toEqual([100, 0, 100]);
    expect(await ledger.facts.get('boot')).not.toBe('an earlier one');
    // A crash without a power cut since: all written bytes are there.
    await bed.put(CONTENT, { id: uploadId('4'), length: 2000, provenOffset: 100 });
    await returnToProvenOffsets(ledger, staging);
    expect(await staging.size(uploadId('4'))).toBe(LENGTH);
  });
});

describe('a planned shutdown', () => {
  it('proves stored bytes, but none of a chunk whose checksum was not verified, or whose sync failed', async () => {
    const bed = await openFinishBed();
    const { ledger, staging, syncFailures } = bed;
    const [whole, unverified, unsynced] = [
      await bed.put(CONTENT, { length: 2000, provenOffset: 100 }),
      await bed.put(CONTENT, { length: 2000, provenOffset: 100, unverifiedFrom: 300 }),
      await bed.put(CONTENT, { length: 2000, provenOffset: 100 }),
    ];
    await syncFailures.add(unsynced);
    await makeAllDurable(ledger, staging, syncFailures);
    expect((await ledger.get(whole))?.provenOffset).toBe(LENGTH);
    expect((await ledger.get(unverified))?.provenOffset).toBe(300);
    expect((await ledger.get(unsynced))?.provenOffset).toBe(100);
  });
});

describe('bytes whose sync failed', () => {
  it('are not acknowledged by another sync, and complete nothing in the next process', async () => {
    const bed = await openFinishBed();
    const { ledger, syncFailures, finisher } = bed;
    const id = await bed.put(CONTENT, { id: uploadId('1'), provenOffset: 100 });
    const other = await bed.put(CONTENT, { id: uploadId('2'), provenOffset: 100 });
    await syncFailures.add(id);
    const upload = await ledger.get(id);
    if (upload === undefined) throw new Error('The upload created just now is missing.');
    expect(await confirmations(bed).confirmed(upload)).toBe(100);
    // Another process knows of the failed sync only from the ledger.
    syncFailures.delete(id);
    expect(await confirmations(bed).confirmed(upload)).toBe(100);
    await finisher.start();
    expect(await bed.verdict(other)).toMatchObject({ state: 'accepted' });
    expect(await ledger.get(id)).toMatchObject({ state: 'receiving', provenOffset: 100 });
  });

  it('are inspected once a copy of them is verified', async () => {
    const bed = await openFinishBed();
    const id = await bed.put(CONTENT, { provenOffset: 100 });
    await bed.finisher.inspectionStarts.start(id, LENGTH, 'byte', { proof: 'sync-failed' });
    expect(await bed.verdict(id)).toMatchObject({ state: 'accepted', unverifiedFrom: null });
  });

  it('are reset to the proved bytes when a copy of them is right up to there', async () => {
    const bed = await openFinishBed();
    const { ledger, staging, finisher } = bed;
    const checkpoint = { provenOffset: 100, checksumOffset: 60, checksum: crc32(CONTENT.subarray(0, 60)) };
    const id = await bed.put(CONTENT, checkpoint);
    expect(await finisher.inspectionStarts.start(id, LENGTH, 'byte', { proof: 'sync-failed', checksum: 1 })).toBe(false);
    expect(await staging.size(id)).toBe(100);
    const upload = await ledger.get(id);
    expect(upload).toMatchObject({ state: 'receiving', ...checkpoint });
    expect(upload && (await confirmations(bed).confirmed(upload))).toBe(100);
  });

  it('are reset to zero when a copy of them is wrong before the proved bytes', async () => {
    const bed = await openFinishBed();
    const id = await bed.put(CONTENT, { provenOffset: 100, checksumOffset: 60, checksum: 1 });
    expect(await bed.finisher.inspectionStarts.start(id, LENGTH, 'byte', { proof: 'sync-failed', checksum: 1 })).toBe(false);
    expect(await bed.staging.size(id)).toBe(0);
    expect(await bed.ledger.get(id)).toMatchObject({ state: 'receiving', provenOffset: 0, checksum: 0, checksumOffset: 0 });
  });

  it('do not prove their replacement, once a copy of them was found wrong', async () => {
    const bed = await openFinishBed();
    const { ledger, staging, finisher } = bed;
    const id = await bed.put(CONTENT, { provenOffset: 100, checksum: 1 });
    expect(await finisher.inspectionStarts.start(id, LENGTH, 'byte', { proof: 'sync-failed' })).toBe(false);
    expect(await staging.size(id)).toBe(0);
    expect(await ledger.get(id)).toMatchObject({ state: 'receiving', provenOffset: 0, checksumOffset: 0 });
  });

  it('do not pass for right when the wrong copy could not be deleted at first', async () => {
    const bed = await openFinishBed();
    const { ledger, staging, finisher } = bed;
    const id = await bed.put(CONTENT, { checksum: 1 });
    const truncateStaged = staging.truncate.bind(staging);
    let faults = 0;
    staging.truncate = async (...given) => {
      if (faults++ === 0) throw new Error('EIO');
      return truncateStaged(...given);
    };
    expect(await finisher.inspectionStarts.start(id, LENGTH, 'byte', { proof: 'sync-failed' })).toBe(false);
    expect(faults).toBe(2);
    expect(await staging.size(id)).toBe(0);
    expect((await ledger.get(id))?.state).toBe('receiving');
  });
});

describe('a chunk with its own checksum', () => {
  it('is not acknowledged before its end to a client that asked just before it started', async () => {
    const bed = await openFinishBed();
    const { ledger } = bed;
    const id = await bed.put(CONTENT, { length: 2000, provenOffset: 100 });
    const before = await ledger.get(id);
    if (before === undefined) throw new Error('The upload created just now is missing.');
    await ledger.change(id, { from: 'receiving' }, { unverifiedFrom: 300 }, false);
    expect(await confirmations(bed).confirmed(before)).toBe(300);
    expect(await ledger.raiseProvenOffset(id, LENGTH)).toBe(false);
    expect((await ledger.get(id))?.provenOffset).toBe(100);
  });
});
