// The result that an application's check attaches to the verdict reaches the sender, whichever answer was lost.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { UploadError } from '../../client/node.ts';
import type { LandfallHooks } from '../../server/index.ts';
import { startCommand } from '../support/command-line.ts';
import { dropFirstResponses } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { startSending } from './sending.ts';

const RESULT = { pages: [1, null, 'ä'] };
const ATTACHING: LandfallHooks = {
  checks: [
    {
      name: 'attaching',
      run: async ({ safeName }) => (safeName === 'no.txt' ? { code: 'ERR_CHECK_REFUSED', result: RESULT } : { result: RESULT }),
    },
  ],
};

describe.each([
  ['no answer is lost', () => () => undefined],
  ['the first two answers to each PATCH, HEAD and GET are lost', () => dropFirstResponses(2, ['PATCH', 'HEAD', 'GET'])],
] as const)('when %s', (_, plan) => {
  it('`done` and the last snapshot contain the result of an accepted file', async () => {
    const { send } = await startSending(plan(), {}, ATTACHING);
    const { handle } = send(Buffer.from('text'), { name: 'yes.txt' });
    expect((await handle.done).result).toEqual(RESULT);
    expect(handle.snapshot).toMatchObject({ state: 'accepted', result: RESULT });
  });

  it('the error contains the result of a refused file', async () => {
    const { send } = await startSending(plan(), {}, ATTACHING);
    const { handle } = send(Buffer.from('text'), { name: 'no.txt' });
    const error: UploadError = await handle.done.then(
      () => expect.fail('It was accepted.'),
      (reason) => reason,
    );
    expect(error).toMatchObject({ code: 'ERR_CHECK_REFUSED', result: RESULT });
    expect(handle.snapshot).toMatchObject({ state: 'rejected', error: { result: RESULT } });
  });
});

it('an upload has no result when no check attaches one', async () => {
  const { send } = await startSending();
  const { handle } = send(Buffer.from('text'), { name: 'a.txt' });
  expect(await handle.done).not.toHaveProperty('result');
  expect(handle.snapshot).not.toHaveProperty('result');
});

it('the command line prints the results of accepted and refused files with --json', async () => {
  const server = await embedLandfall({}, ATTACHING);
  const directory = testDirectory();
  const paths = ['yes.txt', 'no.txt'].map((name) => join(directory, name));
  for (const path of paths) await writeFile(path, 'text');
  const { stdout } = await startCommand({ directory }, ...paths, '--to', server.url, '--json').ended;
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(
    lines
      .filter(({ event }) => event !== 'summary')
      .map(({ event, result }) => [event, result])
      .sort(),
  ).toEqual([
    ['accepted', RESULT],
    ['rejected', RESULT],
  ]);
});
