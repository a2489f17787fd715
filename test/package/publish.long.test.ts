// The dry run of the release script: it reports what is missing before it builds, and npm packs both packages as it would publish them.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import { testDirectory } from '../support/temp-dir.ts';
import { copySources } from './packed.ts';

const run = promisify(execFile);
let source = '';

beforeEach(() => {
  source = copySources(testDirectory(), '.ci/release.ts', 'CHANGELOG.md');
});

interface Ended {
  code?: number;
  stdout: string;
  stderr: string;
}

function release(...parameters: string[]): Promise<Ended> {
  return run(process.execPath, ['.ci/release.ts', ...parameters], {
    cwd: source,
    env: { ...process.env, npm_config_loglevel: 'notice' },
  }).catch((error: Ended) => error);
}

function edit(file: string, change: (text: string) => string): void {
  const path = join(source, file);
  const text = readFileSync(path, 'utf8');
  const changed = change(text);
  expect(changed).not.toBe(text);
  writeFileSync(path, changed);
}

describe('a release', () => {
  it('is refused while the packages have different versions', async () => {
    edit('client/package.json', (text) => text.replace(/"version": ".+"/, '"version": "9.9.9"'));
    expect(await release('--dry-run')).toMatchObject({ code: 1, stderr: expect.stringContaining('different versions') });
  });

  it('is refused without a dated section in the changelog', async () => {
    expect(await release()).toMatchObject({ code: 1, stderr: expect.stringMatching(/CHANGELOG\.md has no section "## \[\d+\.\d+\.\d+\]/) });
  });

  it('is refused, even as a dry run, when the changelog has no entries', async () => {
    edit('CHANGELOG.md', (text) => text.replace('## [Unreleased]', '## Some day'));
    expect(await release('--dry-run')).toMatchObject({ code: 1, stderr: expect.stringContaining('CHANGELOG.md') });
  });

  it('packs both packages in a dry run, as npm would publish them with public access', async () => {
    const { code, stdout, stderr } = await release('--dry-run');
    expect(code, stderr).toBeUndefined();
    expect(stderr).toMatch(/landfall-\d+\.\d+\.\d+\.tgz/);
    expect(stderr).toMatch(/landfall-server-\d+\.\d+\.\d+\.tgz/);
    expect(stderr.match(/with tag latest and public access \(dry-run\)/g)).toHaveLength(2);
    expect(stderr).not.toContain('No bin file found');
    expect(stdout).toMatch(/^\+ landfall@\d/m);
    expect(stdout).toMatch(/^\+ landfall-server@\d/m);
  });
});
