// The specification's Python library accepts Landfall's bodies and signatures.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { pythonPackages } from '../support/python-packages.ts';
import { REPOSITORY } from '../support/repository.ts';
import { createUpload } from '../support/tus-requests.ts';
import { startReceiver } from '../support/webhook-receiver.ts';

const SECRETS = [`whsec_${Buffer.alloc(32, 1).toString('base64')}`, `whsec_${Buffer.alloc(24, 2).toString('base64')}`];

it('webhooks verify with the specification’s Python library, by either secret', async () => {
  const folder = pythonPackages('standardwebhooks==1.1.0');
  expect(existsSync(folder)).toBe(true);
  const receiver = await startReceiver();
  const server = await embedLandfall({ webhookUrl: receiver.url, webhookSecret: SECRETS });
  const body = Buffer.from('“Grüße” 🎬');
  await createUpload(server.files, { length: body.length, name: '“Zoë” 🎬.txt', body, metadata: { note: 'a\\b "c" ü' } });
  await createUpload(server.files, { length: 4, name: 'a.png', body: Buffer.from('text') });
  await expect.poll(() => receiver.taken.length).toBe(4);
  const lines = SECRETS.flatMap((secret) =>
    receiver.received.map(({ headers, body: text }) => JSON.stringify({ secret, headers, body: text })),
  );
  const program = join(REPOSITORY, 'test/support/verify-webhooks.py');
  const verify = (input: string) =>
    spawnSync('python3', [program], { input, encoding: 'utf8', env: { ...process.env, PYTHONPATH: folder, PYTHONIOENCODING: 'utf-8' } });
  const verified = verify(lines.join('\n'));
  expect(verified.stderr).toBe('');
  const events = verified.stdout.trim().split('\n');
  expect(events.map((line) => JSON.parse(line))).toEqual(SECRETS.flatMap(() => receiver.received.map(({ event }) => event)));
  const forged = verify((lines[0] ?? '').replace('upload.created', 'upload.removed'));
  expect(forged.stderr).toContain('No matching signature found');
});
