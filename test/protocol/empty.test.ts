// An upload whose length turns out to be 0: empty is a length like any other.
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Check, ConfigInput } from '../../server/index.ts';
import { filesBelow } from '../support/content.ts';
import { dropFirstResponses, startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { type Answer, createUpload, headUpload, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const DEFERRED = { 'Upload-Defer-Length': '1' };
/** CRC-32 of nothing. */
const CHECKSUMS = { 'Upload-Checksum': 'crc32 AAAAAA==', 'Landfall-Checksum': 'crc32 AAAAAA==' };

/** Declares the length 0 of an upload without bytes. */
function declare(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return patchUpload(url, 0, new Uint8Array(), { 'Upload-Length': '0', ...headers });
}

async function createDeferred(files: string): Promise<string> {
  const created = await createUpload(files, { name: 'a.txt', headers: DEFERRED });
  expect(created.status).toBe(201);
  return created.url;
}

/** A check that waits until the test opens it. */
function gate() {
  const { promise, resolve: open } = Promise.withResolvers<undefined>();
  const check: Check = { name: 'gate', run: () => promise };
  onTestFinished(() => open(undefined));
  return { check, open: () => open(undefined) };
}

describe.for([
  ['accepted', true],
  ['refused', false],
] as const)('an empty upload of deferred length that will be %s', ([, allowEmpty]) => {
  function expectVerdict(answer: Answer): void {
    if (allowEmpty) expect(answer).toMatchObject({ status: 204, offset: 0 });
    else expect(answer).toMatchObject({ status: 422, code: 'ERR_EMPTY' });
  }

  async function expectRecorded(url: string): Promise<void> {
    const shown = await headUpload(url);
    expect(shown).toMatchObject({ status: 200, offset: 0 });
    expect(shown.headers.get(allowEmpty ? 'Upload-Length' : 'Upload-Defer-Length')).toBe(allowEmpty ? '0' : '1');
    expect(await readRecord(url)).toMatchObject({ state: allowEmpty ? 'accepted' : 'rejected', length: 0, offset: 0 });
    if (allowEmpty) expect(await (await fetch(url)).text()).toBe('');
  }

  it.for([
    ['nothing', {}],
    ['checksums', CHECKSUMS],
  ] as const)('gets its verdict when the client declares its length with %s, and each time again', async ([, headers]) => {
    const { files, dataDir } = await embedLandfall({ allowEmpty });
    const url = await createDeferred(files);
    for (let time = 0; time < 3; time++) expectVerdict(await declare(url, headers));
    await expectRecorded(url);
    expect(await filesBelow(`${dataDir}/files`)).toHaveLength(allowEmpty ? 1 : 0);
    await expect.poll(() => filesBelow(`${dataDir}/staging`)).toEqual([]);
  });

  it('gets its verdict when the client declares its length with a chunked body, and refuses a body with bytes', async () => {
    const { files } = await embedLandfall({ allowEmpty });
    const url = await createDeferred(files);
    const chunked = (text: string) => patchUpload(url, 0, new Blob(text === '' ? [] : [text]).stream(), { 'Upload-Length': '0' });
    expect((await chunked('x')).status).toBe(413);
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 0 });
    expectVerdict(await chunked(''));
    await expectRecorded(url);
  });

  it('gets its verdict after an empty body without the length', async () => {
    const { files } = await embedLandfall({ allowEmpty });
    const url = await createDeferred(files);
    expect(await patchUpload(url, 0, new Uint8Array())).toMatchObject({ status: 204, offset: 0 });
    expectVerdict(await declare(url));
    await expectRecorded(url);
  });

  it('gets its verdict with the next answer when earlier answers are lost', async () => {
    const { files, url: upstream } = await embedLandfall({ allowEmpty });
    const url = await createDeferred(files);
    const proxy = await startFaultProxy({ upstream, onRequest: dropFirstResponses(2, ['PATCH']) });
    onTestFinished(() => proxy.close());
    const through = `${proxy.url}${new URL(url).pathname}`;
    for (let lost = 0; lost < 2; lost++) await expect(declare(through)).rejects.toThrow();
    expectVerdict(await declare(through));
    await expectRecorded(url);
  });

  it('is never reported as stored before its verdict, and then gets its verdict', async () => {
    const { check, open } = gate();
    const { files } = await embedLandfall({ allowEmpty, patience: 100 }, { checks: [check] });
    const headers = { ...DEFERRED, 'Idempotency-Key': 'empty' };
    const { url } = await createUpload(files, { name: 'a.txt', headers });
    // An upload refused for being empty is refused before the gate runs.
    for (let time = 0; allowEmpty && time < 2; time++) {
      expect(await declare(url)).toMatchObject({ status: 503, code: 'ERR_INSPECTION_PENDING' });
      const shown = await headUpload(url);
      expect(shown).toMatchObject({ status: 200, offset: 0 });
      expect(shown.headers.get('Upload-Defer-Length')).toBe('1');
      expect(await createUpload(files, { name: 'a.txt', headers })).toMatchObject({ status: 201, url, offset: 0 });
      expect((await terminateUpload(url)).status).toBe(423);
    }
    open();
    await expect.poll(async () => (await declare(url)).status).toBe(allowEmpty ? 204 : 422);
    await expectRecorded(url);
  });

  it('gets its verdict after a restart interrupted its inspection', async () => {
    const { check, open } = gate();
    const config: ConfigInput = { allowEmpty, patience: 100, dataDir: testDirectory() };
    const before = await embedLandfall(config, { checks: [check] });
    const created = await createDeferred(before.files);
    await declare(created);
    const closed = before.close();
    open();
    await closed;
    const after = await embedLandfall(config);
    const url = `${after.url}${new URL(created).pathname}`;
    await expect.poll(async () => (await declare(url)).status).toBe(allowEmpty ? 204 : 422);
    await expectRecorded(url);
  });

  it('gets its verdict, whenever the server was killed', async () => {
    await using server = await startLandfall({ dataDir: testDirectory(), env: { LANDFALL_ALLOW_EMPTY: String(allowEmpty) } });
    for (const delayMs of isLong ? [0, 2, 5, 10, 20, 40, 80] : [5]) {
      const path = new URL(await createDeferred(server.files)).pathname;
      const declared = declare(`${server.url}${path}`).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await server.kill();
      await declared;
      await server.start();
      await expect.poll(async () => (await declare(`${server.url}${path}`)).status).toBe(allowEmpty ? 204 : 422);
      await expectRecorded(`${server.url}${path}`);
    }
  });
});
