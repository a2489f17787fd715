// From tusd, on a disk and in S3, stopped in the middle.
import { describe } from 'vitest';
import { testAdoption } from '../contract/adoption.ts';
import { filesBelow } from '../support/content.ts';
import { freePort } from '../support/free-port.ts';
import { goProgram, hasGo, TUSD_MODULE } from '../support/go-program.ts';
import { startOther } from '../support/other-server.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { idOf } from '../support/tus-requests.ts';

async function startTusd(flags: readonly string[], env: Record<string, string> = {}) {
  const port = await freePort();
  const program = goProgram(TUSD_MODULE);
  const where = ['-host', '127.0.0.1', '-port', String(port), '-base-path', '/files/', '-show-startup-logs=false', '-verbose=false'];
  return startOther(port, program, [...where, ...flags], env);
}

describe.runIf(hasGo)('adopt --tusd', () => {
  describe('with a directory', () => {
    testAdoption(async () => {
      const directory = testDirectory();
      return {
        start: () => startTusd(['-upload-dir', directory]),
        flags: ['--tusd', directory],
        named: idOf,
        everything: async () => (await filesBelow(directory)).filter((name) => !name.endsWith('.lock')),
      };
    });
  });

  describe('with a bucket', () => {
    testAdoption(async () => {
      const s3 = await testBucket();
      const { prefix, endpoint, region } = s3.options;
      const flags = ['-s3-bucket', s3.name, '-s3-object-prefix', `${prefix}old/`, '-s3-endpoint', endpoint, '-s3-min-part-size', '5242880'];
      return {
        start: () => startTusd([...flags, '-s3-part-size', '5242880'], { AWS_REGION: region }),
        flags: ['--tusd', `${s3.name}/${prefix}old/`],
        named: (url) => decodeURIComponent(idOf(url)),
        env: { LANDFALL_S3_ENDPOINT: endpoint, LANDFALL_S3_REGION: region, LANDFALL_S3_FORCE_PATH_STYLE: 'true' },
        everything: async () => [...(await s3.keys('old/')), ...(await s3.unfinished()).filter((key) => key.startsWith('old/'))].sort(),
      };
    });
  });
});
