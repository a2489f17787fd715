// Forms and tus requests sent by curl, without a client of ours.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { sha256, sha256OfFile, writeVideo } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';

const run = promisify(execFile);

async function curl(...parameters: string[]): Promise<{ status: number; body: string }> {
  const { stdout } = await run('curl', ['--silent', '--show-error', '--write-out', '\n%{http_code}', ...parameters]);
  const end = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
}

describe('curl', () => {
  it('uploads a file by -F, and downloads it again', async () => {
    const { url } = await embedLandfall();
    const directory = testDirectory();
    const film = join(directory, 'my film.mp4');
    const hash = await writeVideo(film, 3_000_000);
    const { status, body } = await curl('-F', `file=@${film}`, `${url}/upload`);
    expect(status).toBe(201);
    const { record } = JSON.parse(body) as { record: { url: string; state: string; name: string } };
    expect(record).toMatchObject({ state: 'accepted', name: 'my film.mp4' });
    const back = join(directory, 'back.mp4');
    await curl('-o', back, new URL(record.url, url).href);
    expect(await sha256OfFile(back)).toBe(hash);
  });

  it('gets a result for each of several files', async () => {
    const { url } = await embedLandfall();
    const directory = testDirectory();
    await writeFile(join(directory, 'fine.txt'), 'a text\n');
    await writeFile(join(directory, 'wrong.png'), 'no picture\n');
    const { body } = await curl(
      '-F',
      `file=@${join(directory, 'fine.txt')}`,
      '-F',
      `file=@${join(directory, 'wrong.png')}`,
      `${url}/upload/multiple`,
    );
    const { results } = JSON.parse(body) as { results: { filename: string; status: number; error?: { code: string } }[] };
    expect(results.map(({ filename, status }) => [filename, status])).toEqual([
      ['fine.txt', 201],
      ['wrong.png', 422],
    ]);
    expect(results[1]?.error?.code).toBe('ERR_TYPE_MISMATCH');
  });

  it('can send the tus requests one by one: create, append, ask', async () => {
    const { files } = await embedLandfall();
    const directory = testDirectory();
    const text = 'by hand\n';
    await writeFile(join(directory, 'body'), text);
    const { stdout: created } = await run('curl', [
      '-si',
      '-X',
      'POST',
      '-H',
      'Tus-Resumable: 1.0.0',
      '-H',
      `Upload-Length: ${text.length}`,
      files,
    ]);
    const location = new URL(/^location: (.+)$/im.exec(created)?.[1]?.trim() ?? '', files).href;
    const headers = ['Tus-Resumable: 1.0.0', 'Upload-Offset: 0', 'Content-Type: application/offset+octet-stream'].flatMap((line) => [
      '-H',
      line,
    ]);
    expect((await curl('-X', 'PATCH', ...headers, '--data-binary', `@${join(directory, 'body')}`, location)).status).toBe(204);
    expect(sha256((await curl(location)).body)).toBe(sha256(text));
  });
});
