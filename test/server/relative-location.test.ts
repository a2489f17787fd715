// Some clients need a setting to follow a relative Location: the server reminds the operator of it when such clients can reach
// the server.
import { expect, it, onTestFinished } from 'vitest';
import { LandfallProcess } from '../support/landfall-process.ts';
import { testDirectory } from '../support/temp-dir.ts';

const OPEN = { LANDFALL_HOST: '0.0.0.0', LANDFALL_ALLOW_ANONYMOUS: 'true' };

it.each([
  ['beyond its own machine, without a public address, says what that costs', OPEN, 1],
  ['beyond its own machine, with one, says nothing', { ...OPEN, LANDFALL_PUBLIC_URL: 'https://files.example' }, 0],
  ['on its own machine alone says nothing', {}, 0],
])('a server that listens %s', async (_, env: Record<string, string>, count) => {
  const server = new LandfallProcess({ dataDir: testDirectory(), env });
  onTestFinished(() => server.kill());
  await server.start();
  // The server has logged its reminder, if any, before the last line.
  await server.stop();
  const told = server.log.filter(({ msg }) => msg?.includes('LANDFALL_PUBLIC_URL') === true);
  expect(told).toHaveLength(count);
  if (count > 0) expect(told[0]?.msg).toMatch(/aiotus and tus_async_client/);
});
