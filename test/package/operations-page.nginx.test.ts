// The nginx configurations of docs/operations.md.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { DOCUMENTED_PROXIES, pathOf } from '../support/documented-proxies.ts';
import { freePort } from '../support/free-port.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { testDocumentedProxy } from './documented-proxy.ts';

testDocumentedProxy('nginx');

it('nginx accepts the documented configuration for several processes', async () => {
  const [nginx] = DOCUMENTED_PROXIES;
  if (nginx?.name !== 'nginx') throw new Error('The first documented proxy is not nginx.');
  const page = readFileSync(join(REPOSITORY, 'docs/operations.md'), 'utf8');
  const [, upstream = ''] = Array.from(page.matchAll(/^```nginx\n([\s\S]*?)^```$/gm), ([, block]) => block ?? '');
  expect(upstream).toContain('upstream landfall');
  const path = nginx.configure({ directory: testDirectory(), port: await freePort(), upstream: await freePort() });
  const one = readFileSync(path, 'utf8');
  expect(one).toContain('proxy_request_buffering off;');
  const several = one
    .replace(/proxy_pass .*;/, 'proxy_pass http://landfall; proxy_set_header Connection "";')
    .replace('http {', `http {\n${upstream}`);
  writeFileSync(path, several);
  const { status, stderr } = spawnSync(pathOf(nginx) ?? 'nginx', nginx.check(path), { encoding: 'utf8' });
  expect(stderr).not.toMatch(/\[(?:emerg|warn|alert)\] (?!.*could not open error log file)/);
  expect(status).toBe(0);
});
