// Operators' commands as typed, beside a running server or without one.
import { existsSync } from 'node:fs';
import { open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesBelow, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { runServerCommand as run } from '../support/server-command.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload } from '../support/tus-requests.ts';
import { startReceiver } from '../support/webhook-receiver.ts';

/** A server with an accepted, a refused and an unfinished upload. */
async function withUploads() {
  const server = await embedLandfall();
  const bytes = await videoBytes(100_000);
  const accepted = await createUpload(server.files, { length: bytes.length, name: 'film “1”.mp4', body: bytes });
  const refused = await createUpload(server.files, { length: 4, name: 'a.png', body: Buffer.from('text') });
  const unfinished = await createUpload(server.files, { length: 1000, name: 'notes.txt', body: Buffer.from('some') });
  expect([accepted.status, refused.status, unfinished.status]).toEqual([201, 422, 201]);
  const env = { LANDFALL_DATA_DIR: server.dataDir };
  return { ...server, env, accepted: accepted.url, unfinished: unfinished.url };
}

describe('landfall-server ls', () => {
  it('lists uploads, newest first, all or those of one state', async () => {
    const { env, accepted, unfinished } = await withUploads();
    const all = await run(['ls'], env);
    expect(all).toMatchObject({ code: 0, err: '' });
    const lines = all.out.trimEnd().split('\n');
    expect(lines.map((line) => line.split(/\s+/)[1])).toEqual(['receiving', 'rejected', 'accepted']);
    expect(lines[0]).toContain(idOf(unfinished));
    expect(lines[2]).toContain('film “1”.mp4');
    const some = await run(['ls', '--state', 'accepted'], env);
    expect(some.out.trimEnd().split('\n')).toEqual([lines[2]]);
    expect(some.out).toContain(idOf(accepted));
    expect(await run(['ls', '--state', 'done'], env)).toMatchObject({ code: 2, out: '' });
  });
});

describe('landfall-server ls, a page at a time', () => {
  it('lists as many as asked for, and continues after the last of them', async () => {
    const { env } = await withUploads();
    const ids = async (...args: string[]) => (await run(['ls', ...args], env)).out.split('\n').flatMap((line) => line.split(' ')[0] || []);
    const all = await ids();
    expect(all).toHaveLength(3);
    expect(await ids('--limit', '2')).toEqual(all.slice(0, 2));
    expect(await ids('--limit', '2', '--after', all[1] ?? '')).toEqual(all.slice(2));
    expect(await run(['ls', '--limit', 'all'], env)).toMatchObject({ code: 2, out: '' });
    expect(await run(['ls', '--after', '0'.repeat(32)], env)).toMatchObject({ code: 1 });
  });

  it('prints the lines of show with --json, one for each upload', async () => {
    const { env, accepted } = await withUploads();
    const lines = (await run(['ls', '--json'], env)).out.trimEnd().split('\n');
    const shown = JSON.parse((await run(['show', idOf(accepted)], env)).out);
    expect(lines.map((line) => JSON.parse(line)).find(({ id }) => id === shown.id)).toEqual(shown);
    expect(lines).toHaveLength(3);
  });
});

describe('landfall-server show', () => {
  it('prints all that the ledger has of one upload, as JSON', async () => {
    const { env, accepted, unfinished, dataDir } = await withUploads();
    const shown = JSON.parse((await run(['show', idOf(accepted)], env)).out);
    expect(shown).toMatchObject({ id: idOf(accepted), state: 'accepted', length: 100_000, type: 'video/mp4', attempts: 1, owner: '' });
    expect(existsSync(shown.file)).toBe(true);
    expect(shown.file.startsWith(join(dataDir, 'files'))).toBe(true);
    expect(JSON.parse((await run(['show', idOf(unfinished)], env)).out)).toMatchObject({ state: 'receiving', offset: 4 });
  });

  it.for([
    [['show', '../../etc/passwd'], 2],
    [['show', '0'.repeat(32), '1'.repeat(32)], 2],
    [['show', '0'.repeat(32)], 1],
    [['rm', '0'.repeat(32)], 1],
    [['frobnicate'], 2],
  ] as const)('%j ends with %i and a line that says why', async ([args, code]) => {
    const { dataDir } = await embedLandfall();
    const ran = await run(args, { LANDFALL_DATA_DIR: dataDir });
    expect(ran.code).toBe(code);
    const said = ran.out + ran.err;
    expect(said.trimEnd().split('\n').length).toBeLessThan(4);
    expect(said).not.toMatch(/\bat .*:\d+/);
  });
});

describe('landfall-server rm', () => {
  it('removes the file beside a running server: its address answers 410', async () => {
    const { env, accepted, dataDir } = await withUploads();
    expect((await fetch(accepted)).status).toBe(200);
    expect(await run(['rm', idOf(accepted)], env)).toMatchObject({ code: 0, err: '' });
    expect(await filesBelow(join(dataDir, 'files'))).toEqual([]);
    const gone = await fetch(accepted);
    expect(gone.status).toBe(410);
    expect(await gone.json()).toMatchObject({ code: 'ERR_UPLOAD_REMOVED' });
    expect(await headUpload(accepted)).toMatchObject({ status: 410, offset: undefined });
    expect(await patchUpload(accepted, 99_999, 'x')).toMatchObject({ status: 410, code: 'ERR_UPLOAD_REMOVED' });
    expect(await run(['rm', idOf(accepted)], env)).toMatchObject({ code: 0 });
  });

  it('removes no upload that is not accepted', async () => {
    const { env, unfinished } = await withUploads();
    const ran = await run(['rm', idOf(unfinished)], env);
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.out).toContain('receiving');
    expect((await headUpload(unfinished)).offset).toBe(4);
  });
});

describe('landfall-server verify', () => {
  it('finds no fault in intact files', async () => {
    const { env } = await withUploads();
    expect(await run(['verify'], env)).toMatchObject({ code: 0, out: '1 files, 0 faults\n' });
  });

  it.for([
    [
      'a byte was flipped',
      (path: string) => open(path, 'r+').then((file) => file.write('!', 50_000).finally(() => file.close())),
      'changed',
    ],
    ['the end is missing', (path: string) => truncate(path, 99_999), '99999 bytes instead of 100000'],
    ['it is gone', (path: string) => rm(path), 'missing'],
  ] as const)('reports a file when %s', async ([, harm, said]) => {
    const { env, dataDir, accepted } = await withUploads();
    const [path] = await filesBelow(join(dataDir, 'files'));
    await harm(join(dataDir, 'files', path ?? ''));
    const ran = await run(['verify'], env);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain(idOf(accepted));
    expect(ran.out).toContain(said);
    expect(ran.out).toContain('1 files, 1 faults\n');
  });
});

describe('an invalid command line', () => {
  it('creates no data directory', async () => {
    const dataDir = join(testDirectory(), 'misspelt');
    for (const args of [['ls'], ['rm', '0'.repeat(32)]]) {
      const ran = await run(args, { LANDFALL_DATA_DIR: dataDir });
      expect(ran.code).toBe(2);
      expect(ran.err).toContain(dataDir);
    }
    expect(existsSync(dataDir)).toBe(false);
  });

  it('does not serve: an address that others can reach without an access rule', async () => {
    const dataDir = join(testDirectory(), 'data');
    for (const host of ['0.0.0.0', 'localhost.example']) {
      const ran = await run([], { LANDFALL_DATA_DIR: dataDir, LANDFALL_HOST: host, LANDFALL_PORT: '0' });
      expect(ran.code).toBe(2);
      expect(ran.err).toContain('LANDFALL_ALLOW_ANONYMOUS=true');
    }
    expect(existsSync(dataDir)).toBe(false);
  });

  it('does not serve: settings that are wrong, unknown, or misspelt', async () => {
    expect(await run([], { LANDFALL_MAX_UPLOAD_SIZE: 'big' })).toMatchObject({ code: 2 });
    expect((await run([], { LANDFALL_MAXUPLOADSIZE: '5 GiB' })).err).toContain('LANDFALL_MAXUPLOADSIZE');
    expect((await run(['--max-upload-size=big'])).err).toContain('LANDFALL_MAX_UPLOAD_SIZE');
    expect((await run(['serve', 'x'])).err).toContain('takes no "x"');
    expect((await run(['--frobnicate'])).code).toBe(2);
  });

  it('does not serve a data directory that another process serves', async () => {
    const { dataDir } = await embedLandfall();
    const ran = await run(['serve'], { LANDFALL_DATA_DIR: dataDir, LANDFALL_PORT: '0' });
    expect(ran.code).toBe(2);
    expect(ran.err).toContain('Another process serves');
    expect(ran.err.trimEnd().split('\n')).toHaveLength(1);
  });

  it('does not serve on a port that is taken, and says so in a line', async () => {
    const { url } = await embedLandfall();
    const dataDir = join(testDirectory(), 'data');
    const ran = await run([], { LANDFALL_DATA_DIR: dataDir, LANDFALL_PORT: new URL(url).port });
    expect(ran.code).toBe(2);
    expect(ran.err).toMatch(/^landfall-server: LANDFALL_PORT: another process listens on port \d+ of .*\n$/);
  });

  it('does not serve from a directory that it cannot write, and says so in a line', async () => {
    const file = join(testDirectory(), 'file');
    await writeFile(file, '');
    // No user can make anything in /sys, root included.
    for (const dataDir of [file, join(file, 'data'), '/sys/landfall']) {
      const ran = await run([], { LANDFALL_DATA_DIR: dataDir, LANDFALL_PORT: '0' });
      expect(ran.code, dataDir).toBe(2);
      expect(ran.err).toMatch(/^landfall-server: .* cannot be written to .*LANDFALL_DATA_DIR.*\n$/);
    }
  });

  it('with --help prints every setting and changes nothing', async () => {
    const ran = await run(['--help']);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toContain('--max-upload-size, LANDFALL_MAX_UPLOAD_SIZE');
    expect(ran.out).toContain('Default: 1 TiB');
  });
});

describe('the directories', () => {
  it('are private, and contain the files that docs/operations.md lists', async () => {
    const dataDir = join(testDirectory(), 'a', 'data');
    await embedLandfall({ dataDir });
    expect((await readdir(dataDir)).sort()).toEqual(expect.arrayContaining(['files', 'ledger.sqlite', 'staging']));
    for (const path of [dataDir, join(dataDir, 'files'), join(dataDir, 'staging'), join(dataDir, 'staging', 'ff')]) {
      expect((await stat(path)).mode & 0o777).toBe(0o750);
    }
  });
});

describe('landfall-server events', () => {
  const ids = (out: string) => out.split('\n').flatMap((line) => /^evt_[0-9a-f]{32}/.exec(line) ?? []);

  it('lists events, newest first, with their deliveries', async () => {
    const { env, accepted, unfinished } = await withUploads();
    await expect.poll(async () => ids((await run(['events', 'ls'], env)).out).length).toBe(5);
    const all = await run(['events', 'ls'], env);
    expect(all).toMatchObject({ code: 0, err: '' });
    const lines = all.out.trimEnd().split('\n');
    expect(lines.map((line) => line.split(/\s+/)[1])).toEqual([
      'upload.created',
      'upload.rejected',
      'upload.created',
      'upload.accepted',
      'upload.created',
    ]);
    expect(lines[0]).toContain(`${idOf(unfinished)}  none`);
    expect(lines[4]).toContain(idOf(accepted));
    const [first = '', second = ''] = ids(all.out);
    expect(ids((await run(['events', 'ls', '--limit', '2'], env)).out)).toEqual([first, second]);
    expect(ids((await run(['events', 'ls', '--after', second, '--limit', '9'], env)).out)).toEqual(ids(all.out).slice(2));
    const json = (await run(['events', 'ls', '--json', '--limit', '1'], env)).out;
    expect(JSON.parse(json)).toMatchObject({ id: first, delivery: 'none', event: { id: first, type: 'upload.created' } });
    expect(await run(['events', 'ls', '--state', 'accepted'], env)).toMatchObject({ code: 2, out: '' });
    expect(await run(['events', 'ls', '--after', 'evt_0'], env)).toMatchObject({ code: 1, out: 'There is no event evt_0.\n' });
    expect(await run(['events', 'tell'], env)).toMatchObject({ code: 2, out: '' });
    expect(await run(['events', 'redeliver'], env)).toMatchObject({ code: 2, out: '' });
    expect(await run(['events', 'enable'], env)).toMatchObject({ code: 1 });
  });

  it('sends an event again, and all events kept for a receiver that had answered 410, beside a running server', async () => {
    const receiver = await startReceiver();
    const server = await embedLandfall({ webhookUrl: receiver.url, webhookSecret: `whsec_${'A'.repeat(44)}` });
    const env = { LANDFALL_DATA_DIR: server.dataDir };
    const body = Buffer.from('text');
    await createUpload(server.files, { length: 4, name: 'a.txt', body });
    await expect.poll(() => receiver.taken.length).toBe(2);
    const [created] = receiver.taken;
    expect((await run(['events', 'ls'], env)).out).toMatch(/ delivered\n.* delivered\n$/);
    expect(await run(['events', 'redeliver', created?.id ?? ''], env)).toMatchObject({ code: 0, err: '' });
    await expect.poll(() => receiver.taken.length).toBe(3);
    expect(receiver.taken[2]).toEqual(created);

    receiver.answer = () => 410;
    await createUpload(server.files, { length: 4, name: 'b.txt', body });
    const health = async () => JSON.stringify(await (await fetch(`${server.url}/health/ready`)).json());
    await expect.poll(health).toContain('stopped');
    await createUpload(server.files, { length: 4, name: 'c.txt', body });
    receiver.answer = () => 204;
    expect(await run(['events', 'enable'], env)).toMatchObject({ code: 0, err: '' });
    await expect.poll(() => receiver.taken.length).toBe(7);
    await expect.poll(health).toBe('{"status":"ready"}');
  });
});
