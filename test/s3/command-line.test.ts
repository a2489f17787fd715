import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { startCommand } from '../support/command-line.ts';
import { videoBytes, writeVideo } from '../support/content.ts';
import { embedLandfallOnS3, MIB, partNumberOf } from '../support/s3-landfall.ts';
import { testDirectory } from '../support/temp-dir.ts';

it.skipIf(inject('s3HeaderGuard') === null)(
  'a command line that uploads directly to S3, killed midway and run again, sends no part twice',
  async () => {
    let isKilled = false;
    const { files, onlyFile, proxy } = await embedLandfallOnS3((exchange) =>
      !isKilled && exchange.path.includes('X-Amz-Signature') && partNumberOf(exchange) === 4
        ? { kind: 'stall', afterBytes: MIB }
        : undefined,
    );
    const directory = testDirectory();
    const path = join(directory, 'film.mp4');
    await writeVideo(path, 33 * MIB);
    const sent = () =>
      proxy.exchanges
        .filter((exchange) => exchange.path.includes('X-Amz-Signature') && !exchange.path.includes('/probe'))
        .map(partNumberOf);
    const killed = startCommand({ directory }, path, '--to', files, '--direct');
    await expect.poll(() => sent().at(-1)).toBe(4);
    isKilled = true;
    killed.child.kill('SIGKILL');
    await killed.ended;
    const { code, stdout } = await startCommand({ directory }, path, '--to', files, '--direct').ended;
    expect([code, stdout.trim().split('\n').length]).toEqual([0, 1]);
    expect(sent()).toEqual([1, 2, 3, 4, 4, 5, 6, 7]);
    expect((await onlyFile()).bytes.equals(await videoBytes(33 * MIB))).toBe(true);
  },
);
