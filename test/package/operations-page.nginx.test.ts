// What docs/operations.md shows for nginx is taken by nginx.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { programPath } from '../support/needs.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';

const text = readFileSync(join(REPOSITORY, 'docs/operations.md'), 'utf8');
const [server = '', upstream = ''] = Array.from(text.matchAll(/^```nginx\n([\s\S]*?)^```$/gm), ([, block]) => block ?? '');

it.for([
  ['one process', server],
  ['several', upstream + server.replace(/proxy_pass .*;/, 'proxy_pass http://landfall; proxy_set_header Connection "";')],
] as const)('the configuration for %s is one that nginx takes', async ([, blocks]) => {
  expect(blocks).toContain('proxy_request_buffering off;');
  const directory = testDirectory();
  // Without the certificate, which is the reader's own.
  const plain = blocks.replace(/listen 443 ssl.*;/, `listen 127.0.0.1:${await freePort()};`).replace(/^\s*ssl_certificate.*$/gm, '');
  const path = join(directory, 'nginx.conf');
  writeFileSync(path, `pid ${directory}/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n${plain}}\n`);
  const { status, stderr } = spawnSync(programPath('nginx') ?? 'nginx', ['-t', '-c', path], { encoding: 'utf8' });
  expect(stderr).not.toMatch(/\[(?:emerg|warn|alert)\] (?!.*could not open error log file)/);
  expect(status).toBe(0);
});
