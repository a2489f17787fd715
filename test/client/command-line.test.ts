// The `landfall` command, run as a shell runs it.
import { execFileSync } from 'node:child_process';
import { open, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startCommand as start } from '../support/command-line.ts';
import type { Exchange } from '../support/fault-proxy.ts';
import { type Sending, startSending } from './sending.ts';

const MIB = 1024 * 1024;

/** The value of `NODE_OPTIONS` with which Node runs this script first. */
const importing = (script: string) => `--import=data:text/javascript,${encodeURIComponent(script)}`;

/** `homedir()` throws for a user without an entry in `/etc/passwd` and without `HOME`. */
const WITHOUT_HOME = importing(`
  import os from 'node:os';
  import { syncBuiltinESMExports } from 'node:module';
  os.homedir = () => { throw new Error('ENOENT'); };
  syncBuiltinESMExports();
`);

const run = (sending: Pick<Sending, 'directory'>, ...parameters: string[]) => start(sending, ...parameters).ended;

function events(stdout: string): Record<string, unknown>[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Runs the command and stops it in the middle by a signal, with part of the file on the server. */
async function stopInTheMiddle(
  sending: Sending & { env?: Record<string, string> },
  path: string,
  signal: NodeJS.Signals,
  ...parameters: string[]
) {
  sending.proxy.bytesPerSecond = 4 * MIB;
  const command = start(sending, path, '--to', sending.proxy.url, ...parameters);
  await expect.poll(() => sending.proxy.bytes, { timeout: 60_000 }).toBeGreaterThan(2 * MIB);
  command.child.kill(signal);
  const end = await command.ended;
  sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  return end;
}

describe('the results of the landfall command', () => {
  test('are the addresses of the uploads, alone on standard output', async () => {
    const sending = await startSending();
    const one = await sending.video(100_000, 'one.mp4');
    const two = await sending.video(200_000, 'two.mp4');
    const { code, stdout, stderr } = await run(sending, one.path, two.path, '--to', sending.proxy.url);
    expect(code).toBe(0);
    const urls = stdout.trimEnd().split('\n');
    expect(urls).toHaveLength(2);
    for (const url of urls) expect((await fetch(url)).status).toBe(200);
    expect(stderr).toBe(`2 of 2 files accepted, 293 KiB in ${stderr.split(' in ')[1]}`);
    expect(stderr).not.toContain('\x1b');
    expect((await sending.stored()).sort()).toEqual([one.sha256, two.sha256].sort());
  });

  test('are a line of JSON for each file with --json, and a summary at the end', async () => {
    const sending = await startSending();
    const { path } = await sending.video(100_000);
    const bad = join(sending.directory, 'photo.jpg');
    await writeFile(bad, 'MZ this is a program');
    const { code, stdout } = await run(sending, path, bad, '--to', sending.server.files, '--json');
    const lines = events(stdout);
    expect(lines).toHaveLength(3);
    expect(lines.find(({ event }) => event === 'accepted')).toEqual({
      event: 'accepted',
      file: path,
      id: expect.any(String),
      url: expect.stringContaining(sending.server.files),
      name: 'film.mp4',
      size: 100_000,
      type: 'video/mp4',
      checksum: expect.stringMatching(/^crc32:/),
      resumed: false,
    });
    expect(lines.find(({ event }) => event === 'rejected')).toMatchObject({ file: bad, code: 'ERR_TYPE_MISMATCH', status: 422 });
    expect(lines.at(-1)).toEqual({
      event: 'summary',
      accepted: 1,
      rejected: 1,
      failed: 0,
      interrupted: 0,
      bytes: 100_000,
      seconds: expect.any(Number),
      exitCode: 1,
    });
    expect(code).toBe(1);
  });

  test('are one for each argument, also for arguments that name the same file, which is sent once', async () => {
    const sending = await startSending();
    const { path, sha256: sum } = await sending.video(100_000);
    await symlink(sending.directory, join(sending.directory, 'link'));
    await symlink(path, join(sending.directory, 'other.mp4'));
    const same = [path, path, join(sending.directory, 'link/film.mp4')];
    const { code, stdout, stderr } = await run(sending, ...same, '--to', sending.server.url, '--json');
    expect(code).toBe(0);
    const [first, ...more] = events(stdout);
    expect(more).toEqual([
      { ...first, file: same[1] },
      { ...first, file: same[2] },
      expect.objectContaining({ event: 'summary', accepted: 3, bytes: 100_000 }),
    ]);
    expect(stderr).not.toContain('another process');
    expect(await sending.stored()).toEqual([sum]);
    // A link with another name is sent under that name.
    const named = await run(sending, path, join(sending.directory, 'other.mp4'), '--to', sending.server.url, '--json');
    expect(events(named.stdout).map(({ name }) => name)).toEqual(expect.arrayContaining(['film.mp4', 'other.mp4']));
  });

  test('carry the values of --name, --meta and --header', async () => {
    const sending = await startSending(undefined, {}, { authenticate: ({ headers }) => headers.authorization ?? null });
    const { path } = await sending.video(100_000);
    const { code, stdout } = await run(
      sending,
      path,
      ...['--to', sending.server.url, '--name', 'other.mp4', '--meta', 'project=a=b', '--header', 'Authorization: Bearer me', '--json'],
    );
    expect(code).toBe(0);
    const [{ url = '', name } = {}] = events(stdout);
    expect(name).toBe('other.mp4');
    const head = await fetch(String(url), { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0', Authorization: 'Bearer me' } });
    expect(head.headers.get('Upload-Metadata')).toContain(`project ${btoa('a=b')}`);
  });
});

describe('the exit code', () => {
  test('is 1 for a refused file, with the reason in words', async () => {
    const sending = await startSending();
    const bad = join(sending.directory, 'photo.jpg');
    await writeFile(bad, 'MZ this is a program');
    const { code, stdout, stderr } = await run(sending, bad, '--to', sending.server.url, '--quiet');
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^.*photo\.jpg: The content of the file does not match its name\..*\n$/);
  });

  test.each([
    [['film.mp4']],
    [['--to', 'http://host']],
    [['film.mp4', '--to', 'host:1080']],
    [['film.mp4', '--to', 'http://host', '--nonsense']],
    [['film.mp4', '--to', 'http://host', '--chunk-size', 'much']],
    [['film.mp4', '--to', 'http://host', '--concurrency', '0']],
    [['film.mp4', '--to', 'http://host', '--header', 'nothing']],
    [['film.mp4', '--to', 'http://host', '--header', 'X User: a']],
    [['film.mp4', '--to', 'http://host', '--header', 'X-User: Zoë 😀']],
    [['film.mp4', '--to', 'http://host', '--meta', 'ü=1']],
    [['a.mp4', 'b.mp4', '--to', 'http://host', '--name', 'c.mp4']],
  ])('is 2 for %j, and says what is wrong', async (parameters) => {
    const { code, stdout, stderr } = await run({ directory: '/nonexistent' }, ...parameters);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^.+\nSee landfall --help\.\n$/);
  });

  test('is 5 for a host that does not exist, and the message names the host', async () => {
    const sending = await startSending();
    const { path } = await sending.video(1000);
    // The label is over 63 characters, so no resolver is asked (RFC 1035, 2.3.4).
    const host = `${'x'.repeat(64)}.example`;
    const unknown = await run(sending, path, '--to', `http://${host}`, '--give-up-after', '500ms');
    expect(unknown.code).toBe(5);
    expect(unknown.stderr).toContain(`There is no host “${host}”`);
  });

  test('is 1 for an address that takes no uploads, and the message names the address', async () => {
    const sending = await startSending();
    const { path } = await sending.video(1000);
    const { code, stderr } = await run(sending, path, '--to', `${sending.server.url}/filez?key=secret`, '--quiet');
    expect(code).toBe(1);
    expect(stderr).toContain(`${sending.server.url}/filez answered 404`);
    expect(stderr).not.toContain('secret');
  });

  test('is 3 for a missing file, even when another file is accepted', async () => {
    const sending = await startSending();
    const { path } = await sending.video(100_000);
    const { code, stdout, stderr } = await run(sending, path, join(sending.directory, 'none.mp4'), '--to', sending.server.url);
    expect(code).toBe(3);
    expect(stdout.split('\n')).toHaveLength(2);
    expect(stderr).toContain('There is no such file.');
  });

  test('is 3 for a file that another program changed during the upload without changing its time', async () => {
    const sending = await startSending();
    const { path } = await sending.video(8 * MIB);
    // Whole seconds, which utimes can restore exactly.
    const modified = 1_700_000_000;
    await utimes(path, modified, modified);
    sending.proxy.bytesPerSecond = 2 * MIB;
    const command = start(sending, path, '--to', sending.proxy.url, '--chunk-size', '1MiB', '--verify-source');
    await expect.poll(() => sending.proxy.bytes, { timeout: 20_000 }).toBeGreaterThan(4 * MIB);
    const file = await open(path, 'r+');
    await file.write(Buffer.alloc(MIB, 'x'), 0, MIB, MIB);
    await file.utimes(modified, modified);
    await file.close();
    const { code, stderr } = await command.ended;
    expect(stderr).toContain('It was changed while it was being sent.');
    expect(code).toBe(3);
    expect(await sending.stored()).toEqual([]);
  });

  test('is 4 when the server denies access', async () => {
    const sending = await startSending(undefined, {}, { authenticate: () => null });
    const { path } = await sending.video(100_000);
    expect((await run(sending, path, '--to', sending.server.url)).code).toBe(4);
  });

  test('is 5 when the server is unreachable for longer than the command waits', async () => {
    const sending = await startSending();
    const { path } = await sending.video(100_000);
    await sending.proxy.goDown();
    const { code, stderr } = await run(sending, path, '--to', sending.proxy.url, '--give-up-after', '500ms');
    expect(code).toBe(5);
    expect(stderr).toContain('refuses connections');
  });

  test('is 1 for failures of several kinds', async () => {
    const sending = await startSending();
    const bad = join(sending.directory, 'photo.jpg');
    await writeFile(bad, 'MZ this is a program');
    expect((await run(sending, bad, join(sending.directory, 'none'), '--to', sending.server.url)).code).toBe(1);
  });
});

describe('a signal to the landfall command', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s stops the upload, keeps its record and prints how to resume; the same command resumes', async (signal, expected) => {
    const sending = await startSending();
    const { path, sha256: sum } = await sending.video(12 * MIB);
    const { code, stdout, stderr } = await stopInTheMiddle(sending, path, signal);
    expect(code).toBe(expected);
    expect(stdout).toBe('');
    expect(stderr).toContain('Run the same command again to resume');
    expect(await readdir(join(sending.directory, 'state/landfall/uploads'))).toHaveLength(1);

    const again = await run(sending, path, '--to', sending.proxy.url, '--json');
    expect(again.code).toBe(0);
    expect(events(again.stdout)[0]).toMatchObject({ event: 'accepted', resumed: true });
    expect(again.stderr).toMatch(/film\.mp4: resuming at \d+ %/);
    expect(await sending.stored()).toEqual([sum]);
    expect(sending.proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
    expect(await readdir(join(sending.directory, 'state/landfall/uploads'))).toEqual([]);
  });

  test.each([
    [
      'in a directory that cannot be written',
      { XDG_STATE_HOME: '/proc' },
      'the records of uploads could not be written below /proc/landfall',
    ],
    ['in no home directory', { XDG_STATE_HOME: '', HOME: '' }, 'there is no home directory'],
    ['without a home directory', { XDG_STATE_HOME: '', NODE_OPTIONS: WITHOUT_HOME }, 'there is no home directory'],
  ])('promises no resume for records %s', async (_, env, reason) => {
    const sending = { ...(await startSending()), env };
    const { path } = await sending.video(12 * MIB);
    const { code, stderr } = await stopInTheMiddle(sending, path, 'SIGINT');
    expect(code).toBe(130);
    expect(stderr).toContain(`The same command will start over with 1 file, because ${reason}`);
    expect(stderr).not.toContain('again to resume');
  });

  test('ends the command when it is the second one, also while a thread is blocked', async () => {
    const sending = await startSending();
    const pipe = join(sending.directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    // Opening a named pipe without a writer blocks a thread, as a disk that does not answer.
    const env = { NODE_OPTIONS: importing(`import { open } from 'node:fs'; open('${pipe}', () => {});`) };
    const { path } = await sending.video(12 * MIB);
    sending.proxy.bytesPerSecond = MIB;
    const command = start({ ...sending, env }, path, '--to', sending.proxy.url);
    await expect.poll(() => sending.proxy.bytes).toBeGreaterThan(0);
    command.child.kill('SIGINT');
    await expect.poll(command.stderr).toContain('Stopped.');
    command.child.kill('SIGINT');
    await command.ended;
    expect(command.child.signalCode).toBe('SIGINT');
  });

  test('is reported in JSON too', async () => {
    const sending = await startSending();
    const { path } = await sending.video(12 * MIB);
    const { stdout } = await stopInTheMiddle(sending, path, 'SIGINT', '--json');
    expect(events(stdout)).toEqual([
      { event: 'interrupted', file: path, url: expect.stringContaining('/files/') },
      expect.objectContaining({ event: 'summary', interrupted: 1, exitCode: 130 }),
    ]);
  });

  test('that can not be caught loses nothing', async () => {
    const sending = await startSending();
    const { path, sha256: sum } = await sending.video(12 * MIB);
    await stopInTheMiddle(sending, path, 'SIGKILL');
    const again = await run(sending, path, '--to', sending.proxy.url, '--json');
    expect(events(again.stdout)[0]).toMatchObject({ event: 'accepted', resumed: true });
    expect(await sending.stored()).toEqual([sum]);
  });

  test('leaves no record with --no-resume', async () => {
    const sending = await startSending();
    const { path } = await sending.video(12 * MIB);
    const { stderr } = await stopInTheMiddle(sending, path, 'SIGINT', '--no-resume');
    expect(stderr).not.toContain('again');
    const again = await run(sending, path, '--to', sending.proxy.url, '--json', '--no-resume');
    expect(events(again.stdout)[0]).toMatchObject({ resumed: false });
  });
});

describe('the landfall command, run again,', () => {
  /** The proxy loses the answer to the first of these requests, or never forwards the request. */
  test.each([
    ['the creation', 'POST', { kind: 'hold', until: new Promise<void>(() => {}) }],
    ['the answer to the creation', 'POST', { kind: 'delay', ms: 3_600_000 }],
    ['the answer with the verdict', 'GET', { kind: 'delay', ms: 3_600_000 }],
  ] as const)('stores an empty file once when it was killed while it waited for %s', async (_, awaited, fault) => {
    const plan = ({ method, nth }: Exchange) => (method === awaited && nth === 1 ? fault : undefined);
    const sending = await startSending(plan, { allowEmpty: true });
    const path = join(sending.directory, 'empty.txt');
    await writeFile(path, '');
    const command = start(sending, path, '--to', sending.proxy.url);
    const isWaiting = () => sending.proxy.exchanges.some(({ method, status }) => method === awaited && (fault.kind === 'hold' || status));
    await expect.poll(isWaiting).toBe(true);
    command.child.kill('SIGKILL');
    await command.ended;
    const again = await run(sending, path, '--to', sending.proxy.url, '--json');
    expect(events(again.stdout)[0]).toMatchObject({ event: 'accepted', size: 0 });
    expect(await sending.stored()).toHaveLength(1);
  });

  test.each([['SIGKILL'], ['SIGINT']] as const)('stores no file twice when %s ended it after some files were accepted', async (signal) => {
    const sending = await startSending(undefined, { allowEmpty: true });
    const empty = join(sending.directory, 'empty.txt');
    await writeFile(empty, '');
    const small = await sending.video(1000, 'small.mp4');
    const large = await sending.video(12 * MIB, 'large.mp4');
    const parameters = [empty, small.path, large.path, '--to', sending.proxy.url];
    sending.proxy.bytesPerSecond = 2 * MIB;
    const command = start(sending, ...parameters);
    await expect.poll(() => command.stdout().split('\n')).toHaveLength(3);
    command.child.kill(signal);
    const { stdout } = await command.ended;
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;

    const again = await run(sending, ...parameters);
    expect(again.code).toBe(0);
    for (const url of stdout.trimEnd().split('\n')) expect(again.stdout).toContain(url);
    expect(await sending.stored()).toHaveLength(3);
    // The run has ended, so the same command starts a new upload.
    expect((await run(sending, empty, '--to', sending.proxy.url)).code).toBe(0);
    expect(await sending.stored()).toHaveLength(4);
  });

  test('stores nothing twice when an earlier run gave up', async () => {
    let isBusy = true;
    const busy = { kind: 'answer', status: 503 } as const;
    const plan = ({ method, headers }: Exchange) => (isBusy && method === 'POST' && headers['upload-length'] === '2000' ? busy : undefined);
    const sending = await startSending(plan);
    const one = await sending.video(1000, 'one.mp4');
    const two = await sending.video(2000, 'two.mp4');
    const parameters = [one.path, two.path, '--to', sending.proxy.url, '--give-up-after', '500ms'];
    expect((await run(sending, ...parameters)).code).toBe(5);
    isBusy = false;
    expect((await run(sending, ...parameters)).code).toBe(0);
    expect((await sending.stored()).sort()).toEqual([one.sha256, two.sha256].sort());
  });
});

test('the landfall command prints nothing with --quiet when no file fails, and no progress with --no-progress', async () => {
  const sending = await startSending();
  const { path } = await sending.video(100_000);
  expect((await run(sending, path, '--to', sending.server.url, '-q')).stderr).toBe('');
  expect((await run(sending, path, '--to', sending.server.url, '--no-progress')).stderr).toMatch(/^1 of 1 file accepted.*\n$/);
});

test('the landfall command prints --help and --version to standard output', async () => {
  const help = await run({ directory: '/nonexistent' }, '--help');
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toContain('landfall FILE... --to URL');
  expect(await start({ directory: '/nonexistent', env: { NODE_OPTIONS: WITHOUT_HOME, XDG_STATE_HOME: '' } }, '--help').ended).toEqual(help);
  for (const line of help.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  expect((await run({ directory: '/nonexistent' }, '--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
