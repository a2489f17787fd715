import { expect, test } from 'vitest';
import { startCommand } from '../support/command-line.ts';
import { startSending } from './sending.ts';

const MINUTE = 60_000;

test('the client gives up a host that does not exist after a minute, not after the half hour of other failures', async () => {
  const sending = await startSending();
  const { path } = await sending.video(1000);
  // The label is over 63 characters, so no resolver is asked (RFC 1035, 2.3.4).
  const command = startCommand(sending, path, '--to', `http://${'x'.repeat(64)}.example`);
  const timer = setTimeout(() => command.child.kill('SIGKILL'), 10 * MINUTE);
  const { code, stderr } = await command.ended;
  clearTimeout(timer);
  expect(code).toBe(5);
  expect(stderr).toContain('There is no host');
});
