import { expect, test } from 'vitest';
import { startCommand } from '../support/command-line.ts';
import { startSending } from './sending.ts';

const MINUTE = 60_000;

test('a host that does not exist is given up after a minute, not after the half hour others are tried', async () => {
  const sending = await startSending();
  const { path } = await sending.video(1000);
  // No resolver is asked for a name as long as this.
  const command = startCommand(sending, path, '--to', `http://${'x'.repeat(64)}.example`);
  const timer = setTimeout(() => command.child.kill('SIGKILL'), 10 * MINUTE);
  const { code, stderr } = await command.ended;
  clearTimeout(timer);
  expect(code).toBe(5);
  expect(stderr).toContain('There is no host');
});
