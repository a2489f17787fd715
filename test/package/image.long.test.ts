// The container image, checked without an engine to build it: by a linter and by running its commands.
import { execFile } from 'node:child_process';
import { access, cp, readFile, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { validate } from 'dockerfile-utils';
import { describe, expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';

const run = promisify(execFile);
const read = (name: string) => readFile(join(REPOSITORY, name), 'utf8');

/** The files that `.dockerignore` lets through: it excludes everything except the paths it names. */
async function sentToTheEngine(): Promise<string[]> {
  const [first, ...rest] = (await read('.dockerignore')).trim().split('\n');
  expect(first).toBe('*');
  // Earlier build output here is not sent.
  expect(rest.at(-1)).toBe('**/dist');
  return rest.slice(0, -1).map((line) => line.replace(/^!/, ''));
}

describe('the container image', () => {
  it('has a Dockerfile without linter findings', async () => {
    expect(validate('FROM node\nCOPY\nENTRYPONT ["node"]\n').length).toBeGreaterThanOrEqual(2);
    expect(validate(await read('Dockerfile'))).toEqual([]);
  });

  it('is built in one stage and runs in another, as a user who is not root', async () => {
    const stages = (await read('Dockerfile')).split(/^(?=FROM )/m).slice(1);
    expect(stages).toHaveLength(2);
    expect(stages[1]).toMatch(/^COPY --from=build /m);
    expect(stages[1]?.match(/^USER (.+)$/gm)).toEqual(['USER node']);
  });

  it('is built from all necessary files, and no others', async () => {
    const { path } = temporaryDirectory();
    for (const name of await sentToTheEngine())
      await cp(join(REPOSITORY, name), join(path, name), { recursive: true, filter: (file) => basename(file) !== 'dist' });
    await symlink(join(REPOSITORY, 'node_modules'), join(path, 'node_modules'));
    await run('npm', ['run', 'build'], { cwd: path });
    for (const file of ['server/dist/server/main.js', 'server/dist/page/index.html']) await access(join(path, file));
  });
});
