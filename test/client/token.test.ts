// The token that identifies a sender: where the command line reads it, and what the client does when it expires.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startCommand } from '../support/command-line.ts';
import { startSending } from './sending.ts';

const MIB = 1024 * 1024;

/** Starts a server that accepts these tokens; a test revokes one by removing it from the list. */
async function withTokens(...tokens: string[]) {
  const valid = new Set(tokens);
  const shown = new Set<string | undefined>();
  const authenticate = ({ headers: { authorization } }: { headers: { authorization?: string | undefined } }) => {
    shown.add(authorization);
    return valid.has(authorization?.replace('Bearer ', '') ?? '') ? 'anna' : null;
  };
  const sending = await startSending(undefined, {}, { authenticate });
  return { ...sending, valid, shown };
}

describe('the command line', () => {
  test('reads a token from LANDFALL_TOKEN, and does not show it in the list of processes', async () => {
    const sending = await withTokens('from-the-environment');
    const { path, sha256 } = await sending.video(3 * MIB);
    sending.proxy.bytesPerSecond = 2 * MIB;
    const command = startCommand({ ...sending, env: { LANDFALL_TOKEN: 'from-the-environment' } }, path, '--to', sending.proxy.url);
    await expect.poll(() => sending.proxy.bytes).toBeGreaterThan(MIB / 2);
    expect(await readFile(`/proc/${command.child.pid}/cmdline`, 'utf8')).not.toContain('from-the-environment');
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    const { code, stderr } = await command.ended;
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('from-the-environment')]);
    expect(await sending.stored()).toEqual([sha256]);
  });

  test('prefers a token from a file, and reads one from standard input', async () => {
    const sending = await withTokens('in-the-file', 'on-standard-input');
    const { path } = await sending.video(100_000);
    const file = join(sending.directory, 'token');
    await writeFile(file, 'in-the-file\n');
    const env = { LANDFALL_TOKEN: 'another' };
    expect(await startCommand({ ...sending, env }, path, '--to', sending.proxy.url, '--token-file', file).ended).toMatchObject({ code: 0 });
    expect(sending.shown).toEqual(new Set(['Bearer in-the-file']));
    const piped = startCommand({ ...sending, input: 'on-standard-input\n' }, path, '--to', sending.proxy.url, '--token-file', '-');
    expect(await piped.ended).toMatchObject({ code: 0 });
    expect(sending.shown).toContain('Bearer on-standard-input');
  });

  test('reads the file again when the token in it has expired, and resumes', async () => {
    const sending = await withTokens('first', 'second');
    const { path, sha256 } = await sending.video(8 * MIB);
    const file = join(sending.directory, 'token');
    await writeFile(file, 'first');
    sending.proxy.bytesPerSecond = 4 * MIB;
    const parameters = [path, '--to', sending.proxy.url, '--token-file', file, '--chunk-size', '1MiB'];
    const command = startCommand(sending, ...parameters);
    await expect.poll(() => sending.proxy.bytes).toBeGreaterThan(2 * MIB);
    await writeFile(file, 'second');
    sending.valid.delete('first');
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    expect(await command.ended).toMatchObject({ code: 0 });
    expect(await sending.stored()).toEqual([sha256]);
    expect(sending.shown).toEqual(new Set(['Bearer first', 'Bearer second']));
    expect(sending.proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test('ends with exit code 4 when the server refuses the token', async () => {
    const sending = await withTokens('right');
    const { path } = await sending.video(1000);
    const wrong = await startCommand({ ...sending, env: { LANDFALL_TOKEN: 'wrong' } }, path, '--to', sending.proxy.url).ended;
    expect(wrong).toMatchObject({ code: 4, stderr: expect.stringContaining('Sign in to upload.') });
    const none = await startCommand(sending, path, '--to', sending.proxy.url).ended;
    expect(none).toMatchObject({ code: 4, stderr: expect.stringContaining('access token in LANDFALL_TOKEN') });
  });

  test('refuses a malformed token without showing it', async () => {
    const directory = (await withTokens()).directory;
    const file = join(directory, 'token');
    for (const text of ['', 'two words', 'a\nb', 'schlüssel']) {
      await writeFile(file, text);
      const { code, stderr } = await startCommand({ directory }, 'a.mp4', '--to', 'http://host', '--token-file', file).ended;
      expect([code, stderr]).toEqual([2, expect.stringContaining('--token-file: not a token')]);
      if (text !== '') expect(stderr).not.toContain(text);
    }
    const missing = await startCommand({ directory }, 'a.mp4', '--to', 'http://host', '--token-file', join(directory, 'none')).ended;
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('ENOENT') });
    const env = { LANDFALL_TOKEN: 'two words' };
    expect((await startCommand({ directory, env }, 'a.mp4', '--to', 'http://host').ended).stderr).toContain('LANDFALL_TOKEN: not a token');
  });
});

test('the function that makes headers gets the refused ones after a 401', async () => {
  const { send, video, valid } = await withTokens('t1', 't2');
  const { path } = await video(100_000);
  const asked: (string | undefined)[] = [];
  valid.delete('t1');
  let current = 't1';
  const { handle } = send(path, {
    headers: ({ reason, refused }) => {
      if (reason === 'unauthorized') {
        asked.push(refused?.Authorization);
        current = 't2';
      }
      return { Authorization: `Bearer ${current}` };
    },
  });
  await handle.done;
  expect(asked).toEqual(['Bearer t1']);
});

test('an upload over the limit of the server waits for the others, says why, and is not given up', async () => {
  const { send, video, proxy, stored } = await startSending(undefined, { ownerMaxUploads: 1 }, { authenticate: () => 'anna' });
  const [one, two] = [await video(4 * MIB, 'one.mp4'), await video(1 * MIB, 'two.mp4')];
  proxy.bytesPerSecond = 2 * MIB;
  const first = send(one.path);
  await expect.poll(() => first.handle.snapshot.sent).toBeGreaterThan(MIB / 2);
  first.handle.pause();
  await expect.poll(() => first.handle.snapshot.state).toBe('paused');
  const second = send(two.path, { budgetMs: 1 });
  const refusals = () => proxy.exchanges.filter(({ status }) => status === 429).length;
  for (const tries of [1, 2, 3]) {
    await expect.poll(refusals).toBe(tries);
    await expect
      .poll(() => second.handle.snapshot)
      .toMatchObject({ state: 'waiting', waiting: { reason: 'too-many' }, error: { code: 'ERR_TOO_MANY_UPLOADS' } });
    if (tries < 3) second.handle.resume();
  }
  proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  first.handle.resume();
  await first.handle.done;
  second.handle.resume();
  await second.handle.done;
  expect((await stored()).sort()).toEqual([one.sha256, two.sha256].sort());
});
