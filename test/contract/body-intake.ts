// What happens to a body in lent memory, with every staging: each buffer is overwritten right after its release.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import { checkHead } from '../../server/inspection/checks/early.ts';
import { Detector } from '../../server/inspection/detector.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { Policies } from '../../server/ledger/limits.ts';
import { openSqlite } from '../../server/ledger/sqlite.ts';
import type { UploadRow } from '../../server/ledger/upload.ts';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import type { ReceiveOptions } from '../../server/staging/body-intake.ts';
import { CreationRates } from '../../server/staging/creation-rates.ts';
import { Receiver } from '../../server/staging/receiver.ts';
import type { Staging } from '../../server/staging/staging.ts';
import { SyncFailures } from '../../server/staging/sync-failures.ts';
import { HEAD_BYTES } from '../../shared/formats.ts';
import { parsePolicy } from '../../shared/policy.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { type LentBody, lentBody } from '../support/lent-body.ts';
import { openReservations } from '../support/reservations.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { newUpload } from './new-upload.ts';

const MIB = 1024 * 1024;
const KIB = 1024;
const never = new AbortController().signal;

async function openBed(openStaging: () => Promise<Staging>) {
  const staging = await openStaging();
  const engine = await openSqlite(testDirectory(), { exclusive: false });
  const ledger = new Ledger(engine);
  onTestFinished(() => ledger.close());
  await ledger.migrate();
  const detector = new Detector({ timeLimitMs: 60_000 });
  onTestFinished(() => detector.close());
  const policy = parsePolicy('video');
  const receiver = new Receiver({
    ledger,
    staging,
    policies: new Policies(policy),
    reservations: openReservations(engine, ledger, staging),
    rates: new CreationRates({ ownerMax: null, addressMax: null }),
    policyHash: 'a policy',
    maxUploadBytes: 1e9,
    expireAfterMs: 3_600_000,
    keepRecordsForMs: 3_600_000,
    bodyTimeoutMs: 60_000,
    durability: 'chunk',
    syncFailures: new SyncFailures(ledger),
    logVerdict: async () => {},
    isWrittenElsewhere: async () => false,
    checkHead: (head, { name: safeName, claimedType, length }) => checkHead(detector, { head, safeName, claimedType, length, policy }),
  });

  async function receive(id: UploadId, offset: number, body: LentBody, more: Partial<ReceiveOptions> = {}) {
    const upload = await ledger.get(id);
    if (upload === undefined) throw new Error('The upload exists already.');
    return receiver.receive(upload, offset, body.open, { maxBytes: 1e9, signal: never, ...more });
  }
  return {
    staging,
    ledger,
    receiver,
    receive,
    async create(values: Partial<UploadRow>): Promise<UploadId> {
      const upload = newUpload({ name: 'film.mp4', ...values });
      await ledger.create(upload, true);
      return upload.id;
    },
    async contentOf(id: UploadId): Promise<Buffer> {
      const reader = await staging.open(id);
      return gathered(reader.stream()).finally(() => reader.close());
    },
  };
}

function expectGivenBack(...bodies: LentBody[]): void {
  for (const body of bodies) expect(body).toMatchObject({ out: 0, isClosed: true });
}

/** @param openStaging makes an empty staging that goes when the running test ends */
export function testBodyIntake(openStaging: () => Promise<Staging>): void {
  it('stores a body with its checksum and head, although no buffer outlives its write', async () => {
    const { create, receive, contentOf } = await openBed(openStaging);
    const bytes = await videoBytes(12 * MIB + 5);
    const id = await create({ length: bytes.byteLength });
    const body = lentBody(bytes, 256 * KIB);
    const { stored, complete } = await receive(id, 0, body);
    expect(stored).toBe(bytes.byteLength);
    expect(complete).toMatchObject({ proof: 'durable', checksum: crc32(bytes) });
    expect((await contentOf(id)).equals(bytes)).toBe(true);
    expect(body.lent).toBe(49);
    expectGivenBack(body);
  });

  it('keeps the head of a file that came in pieces smaller than that, for the inspection', async () => {
    const { create, receive, contentOf } = await openBed(openStaging);
    const bytes = await videoBytes(HEAD_BYTES - 100);
    const id = await create({ length: bytes.byteLength });
    const body = lentBody(bytes, 700);
    const { complete } = await receive(id, 0, body);
    expect(complete?.checksum).toBe(crc32(bytes));
    expect(Buffer.from(complete?.head ?? []).equals(bytes)).toBe(true);
    expect((await contentOf(id)).equals(bytes)).toBe(true);
    expectGivenBack(body);
  });

  it('continues after an earlier body that was cut off, its checksum and its head included', async () => {
    const { create, receive, contentOf, ledger } = await openBed(openStaging);
    const bytes = await videoBytes(7 * MIB);
    const id = await create({ length: bytes.byteLength });
    const first = lentBody(bytes, 1000, 2500);
    expect(await receive(id, 0, first)).toEqual({ stored: 2500 });
    expect(await ledger.get(id)).toMatchObject({ checksum: crc32(bytes.subarray(0, 2500)), checksumOffset: 2500, provenOffset: 2500 });
    const second = lentBody(bytes.subarray(2500), 300 * KIB);
    expect((await receive(id, 2500, second)).complete?.checksum).toBe(crc32(bytes));
    expect((await contentOf(id)).equals(bytes)).toBe(true);
    expectGivenBack(first, second);
  });

  it('keeps a chunk that matches its checksum, and discards one that does not', async () => {
    const { create, receive, contentOf, staging } = await openBed(openStaging);
    const bytes = await videoBytes(MIB);
    const id = await create({ length: 2 * MIB });
    const expecting = (sent: Buffer): Partial<ReceiveOptions> => ({
      expected: { algorithm: 'sha1', digest: () => createHash('sha1').update(sent).digest() },
    });
    const right = lentBody(bytes, 100 * KIB);
    expect(await receive(id, 0, right, expecting(bytes))).toEqual({ stored: MIB });
    const wrong = lentBody(bytes, 100 * KIB);
    const refused = receive(id, MIB, wrong, expecting(Buffer.from('something else')));
    await expect(refused).rejects.toMatchObject({ code: 'ERR_CHECKSUM_MISMATCH' });
    expect(await staging.size(id)).toBe(MIB);
    expect((await contentOf(id)).equals(bytes)).toBe(true);
    expectGivenBack(right, wrong);
  });

  it('stores nothing of a body that is refused by its first bytes, and releases the lent buffers', async () => {
    const { create, receive, staging, ledger } = await openBed(openStaging);
    const program = Buffer.alloc(MIB);
    program.write('MZ');
    const id = await create({ length: program.byteLength });
    const body = lentBody(program, 1500);
    await expect(receive(id, 0, body)).rejects.toMatchObject({ status: 422 });
    expect((await ledger.get(id))?.state).toBe('rejected');
    expect(await staging.size(id)).toBe(0);
    // As many bytes as the head has.
    expect(body.lent).toBe(3);
    expectGivenBack(body);
  });

  it('accepts no byte beyond the length of a file, and does not finish a file that is longer than declared', async () => {
    const { create, receive, staging } = await openBed(openStaging);
    const bytes = await videoBytes(200 * KIB);
    const id = await create({ length: 100 * KIB });
    const body = lentBody(bytes, 30 * KIB);
    await expect(receive(id, 0, body, { maxBytes: 100 * KIB })).rejects.toMatchObject({ code: 'ERR_UPLOAD_LENGTH_EXCEEDED' });
    expect(await staging.size(id)).toBeLessThan(100 * KIB);
    expectGivenBack(body);
  });

  it('has a small file durable in one write, before it has a row', async () => {
    const { receiver, contentOf } = await openBed(openStaging);
    const bytes = await videoBytes(9000);
    const upload = newUpload({ name: 'film.mp4', length: bytes.byteLength });
    const body = lentBody(bytes, 9000);
    const options = { maxBytes: bytes.byteLength, signal: never, isNew: true, comesWhole: true };
    const { complete } = await receiver.receive(upload, 0, body.open, options);
    expect(complete).toMatchObject({ proof: 'durable', checksum: crc32(bytes) });
    expect(Buffer.from(complete?.head ?? []).equals(bytes.subarray(0, HEAD_BYTES))).toBe(true);
    expect((await contentOf(upload.id)).equals(bytes)).toBe(true);
    expectGivenBack(body);
  });

  it('compares repeated bytes with the stored ones, also in lent memory', async () => {
    const { create, receive, receiver } = await openBed(openStaging);
    const bytes = await videoBytes(50_000);
    const id = await create({ length: bytes.byteLength });
    await receive(id, 0, lentBody(bytes, 7000));
    const held = lentBody(bytes.subarray(40_000), 3000);
    expect((await receiver.readHeld(held.open, 10_000, never, undefined)).equals(bytes.subarray(40_000))).toBe(true);
    const stored = {
      size: bytes.byteLength,
      isSame: async (sent: Buffer, offset: number) => {
        await new Promise((resolve) => setImmediate(resolve));
        return sent.equals(bytes.subarray(offset, offset + sent.byteLength));
      },
    };
    const expected = { algorithm: 'sha1' as const, digest: () => createHash('sha1').update(bytes).digest() };
    const again = lentBody(bytes, 7000);
    await receiver.requireSameBody(again.open, 1e9, never, expected, stored);
    const other = lentBody(Buffer.concat([bytes.subarray(0, 45_000), Buffer.alloc(5000)]), 7000);
    await expect(receiver.requireSameBody(other.open, 1e9, never, undefined, stored)).rejects.toMatchObject({
      code: 'ERR_IDEMPOTENCY_KEY_REUSED',
    });
    expectGivenBack(held, again, other);
  });
}
