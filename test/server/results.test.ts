// The result that a check attaches to its verdict, and the facts that it gets about the upload.
import { describe, expect, it } from 'vitest';
import {
  type ApplicationRecord,
  type Check,
  CheckLater,
  type CheckOutcome,
  type Inspectable,
  type LandfallHooks,
} from '../../server/index.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { showUpload } from '../support/show-upload.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';
import { sendForm } from './form-requests.ts';

const TEXT = Buffer.from('text');
const RESULT = { pages: 3, words: ['ä', '\u0000', null], at: { deep: true } };

function checking(run: (upload: Inspectable) => CheckOutcome | undefined | Promise<CheckOutcome | undefined>): LandfallHooks {
  return { checks: [{ name: 'mine', run: async (upload) => run(upload) }] };
}

function withCheck(run: Parameters<typeof checking>[0], hooks: LandfallHooks = {}): Promise<EmbeddedLandfall> {
  return embedLandfall({ patience: 20_000 }, { ...checking(run), ...hooks });
}

describe('a result', () => {
  it('of an accepted file is in its record each time, in forms’ answers, and after a restart', async () => {
    const server = await withCheck(() => ({ result: RESULT }));
    const { url } = await createUpload(server.files, { length: 4, name: 'a.txt', body: TEXT });
    for (let times = 0; times < 2; times++) expect(await readRecord(url)).toMatchObject({ state: 'accepted', result: RESULT });
    const form = await sendForm(`${server.url}/upload`, [{ name: 'b.txt', content: 'text' }]);
    expect(await form.json()).toMatchObject({ status: 201, record: { result: RESULT } });
    await server.close();
    const again = await embedLandfall({ dataDir: server.dataDir });
    expect((await readRecord(`${again.files}/${idOf(url)}`)).result).toEqual(RESULT);
  });

  it('of a refused file is sent with the refusal, also when the refusal is repeated, and to forms', async () => {
    const server = await withCheck(() => ({ code: 'ERR_CHECK_REFUSED', detail: 'No\n\u0000pages.', result: RESULT }));
    const { url } = await createUpload(server.files, { length: 4, name: 'a.txt' });
    const problem = { code: 'ERR_CHECK_REFUSED', detail: 'No pages.', result: RESULT };
    for (const body of ['text', 't']) {
      const answer = await patchUpload(url, body.length === 4 ? 0 : 3, body);
      expect(answer.status).toBe(422);
      expect(JSON.parse(answer.text)).toMatchObject(problem);
    }
    expect(await readRecord(url)).toMatchObject({ state: 'rejected', result: RESULT, error: { detail: 'No pages.' } });
    const form = await sendForm(`${server.url}/upload`, [{ name: 'b.txt', content: 'text' }]);
    expect(await form.json()).toMatchObject({ status: 422, record: { result: RESULT } });
  });

  it('is the last one that any check attached, whatever the verdict', async () => {
    const first: Check = { name: 'first', run: async () => ({ result: 1 }) };
    const second: Check = { name: 'second', run: async () => ({ result: 2 }) };
    const silent: Check = { name: 'silent', run: async () => undefined };
    const refusing: Check = {
      name: 'refusing',
      run: async ({ safeName }) => (safeName === 'b.txt' ? { code: 'ERR_CHECK_REFUSED' } : undefined),
    };
    const { files } = await embedLandfall({ patience: 20_000 }, { checks: [first, second, silent, refusing] });
    const accepted = await createUpload(files, { length: 4, name: 'a.txt', body: TEXT });
    expect(await readRecord(accepted.url)).toMatchObject({ state: 'accepted', result: 2 });
    const refused = await createUpload(files, { length: 4, name: 'b.txt' });
    expect((await patchUpload(refused.url, 0, 'text')).status).toBe(422);
    expect(await readRecord(refused.url)).toMatchObject({ state: 'rejected', result: 2 });
  });

  it('may be any JSON, including null and false, and is absent when no check attaches one', async () => {
    const results = [null, false, 0, '', []];
    const { files } = await withCheck(({ safeName }) => {
      const index = Number(safeName?.replace('.txt', ''));
      return index < results.length ? { result: results[index] ?? null } : undefined;
    });
    for (const [index, result] of results.entries()) {
      const { url } = await createUpload(files, { length: 4, name: `${index}.txt`, body: TEXT });
      expect((await readRecord(url)).result).toEqual(result);
    }
    const { url } = await createUpload(files, { length: 4, name: '99.txt', body: TEXT });
    expect(await readRecord(url)).not.toHaveProperty('result');
  });

  it('of 8 KiB is accepted; a larger one, or one that is no JSON, is a server fault without a verdict', async () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    const wrong = ['x'.repeat(8192 - 1), 'ä'.repeat(4096), circular, 5n, () => 1];
    let asked = 0;
    const { files } = await withCheck(() => {
      const result = wrong[asked++];
      // The quotes add two bytes.
      return { result: asked > wrong.length ? 'x'.repeat(8192 - 2) : (result as never) };
    });
    const { url } = await createUpload(files, { length: 4, name: 'a.txt', body: TEXT });
    await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
    expect(asked).toBe(wrong.length + 1);
    expect((await readRecord(url)).result).toHaveLength(8190);
  });

  it.for([[{}], [true], ['ERR_EMPTY'], [{ code: 'ERR_OF_MINE' }], [{ detail: 'No.' }]])(
    'is not taken from the answer %j, which is a server fault',
    async ([answer]) => {
      let asked = 0;
      const { files } = await withCheck(() => (++asked < 3 ? (answer as never) : undefined));
      const { url } = await createUpload(files, { length: 4, name: 'a.txt', body: TEXT });
      await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
      expect(asked).toBe(3);
    },
  );
});

describe('a check', () => {
  it('gets the sender’s metadata, the owner, and all facts about the upload', async () => {
    const seen: [ApplicationRecord, string, Readonly<Record<string, string>>][] = [];
    const server = await withCheck(
      ({ record, owner, metadata }) => {
        seen.push([record, owner, metadata]);
        return undefined;
      },
      { authenticate: () => 'anna' },
    );
    const metadata = { filename: 'Ä b.txt', filetype: 'text/plain', project: 'köln', empty: '' };
    const { url } = await createUpload(server.files, { length: 4, metadata, body: TEXT });
    expect(seen[0]?.[0]).toMatchObject({
      id: idOf(url),
      state: 'inspecting',
      owner: 'anna',
      metadata,
      originalName: 'Ä b.txt',
      claimedType: 'text/plain',
      length: 4,
      attempts: 1,
      place: null,
    });
    expect(seen[0]?.slice(1)).toEqual(['anna', metadata]);
    expect(JSON.parse(JSON.stringify(seen[0]?.[0]))).toEqual(seen[0]?.[0]);
    await sendForm(`${server.url}/upload`, [{ name: 'c.txt', content: 'text' }]);
    expect(seen[1]?.[2]).toEqual({ filename: 'c.txt' });
  });

  it('may ask to be asked later: nothing counts against the file, and the sender waits', async () => {
    let asked = 0;
    const { files, landfall, dataDir } = await withCheck(() => {
      // More often than a file may crash its inspection.
      if (++asked < 8) throw new CheckLater(20);
      return { result: asked };
    });
    const { url } = await createUpload(files, { length: 4, name: 'a.txt' });
    expect((await patchUpload(url, 0, 'text')).status).toBe(204);
    expect(await readRecord(url)).toMatchObject({ state: 'accepted', result: 8 });
    await landfall.close();
    expect(await showUpload(dataDir, idOf(url))).toMatchObject({ attempts: 8 });
  });

  it('may ask to be asked later after a number of milliseconds only', () => {
    expect(() => new CheckLater(Number.NaN)).toThrow(RangeError);
    expect([-1, 1.6, 1e12, Number.POSITIVE_INFINITY].map((ms) => new CheckLater(ms).delayMs)).toEqual([0, 2, 86_400_000, 86_400_000]);
  });
});

it('hides owner, storage path and metadata from senders; `show` prints them', async () => {
  const { files, landfall, dataDir } = await embedLandfall({}, { authenticate: () => 'anna' });
  const { url } = await createUpload(files, { length: 4, name: 'a.txt', metadata: { project: 'x' }, body: TEXT });
  const record = await readRecord(url);
  for (const secret of ['owner', 'place', 'metadata', 'attempts', 'file', 'scan', 'fault']) expect(record).not.toHaveProperty(secret);
  const head = await headUpload(url);
  expect(JSON.stringify([...head.headers])).not.toContain('anna');
  await landfall.close();
  const shown = await showUpload(dataDir, idOf(url));
  expect(shown).toMatchObject({ ...record, url: expect.any(String), owner: 'anna', metadata: { filename: 'a.txt', project: 'x' } });
  expect(shown.place).toEqual({ path: expect.stringMatching(new RegExp(`^\\d{4}/\\d\\d/\\d\\d/${idOf(url)}/a\\.txt$`)) });
});
