// A page sends its file directly to S3. The page, Landfall and S3 have three different origins.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PutBucketCorsCommand } from '@aws-sdk/client-s3';
import { expect, inject, it, onTestFinished } from 'vitest';
import { clientPagesForTests, ends, open, send, site } from '../browser/client-driver.ts';
import { videoBytes, writeVideo } from '../support/content.ts';
import { REPOSITORY } from '../support/repository.ts';
import { embedLandfallOnS3, MIB } from '../support/s3-landfall.ts';
import { testDirectory } from '../support/temp-dir.ts';

const pages = clientPagesForTests();

/** The CORS rule that docs/s3.md tells operators to set, for the origin of the page. */
function documentedCors(origin: string) {
  const [, json = ''] = /```json\n(\[\{ "AllowedOrigins".*?)\n```/s.exec(readFileSync(join(REPOSITORY, 'docs/s3.md'), 'utf8')) ?? [];
  return JSON.parse(json.replace('https://app.example', origin));
}

it.skipIf(inject('s3HeaderGuard') === null)(
  'a file that a page sends directly to S3 is stored whole, in a bucket set up as docs/s3.md says',
  async () => {
    const { files, s3, proxy, onlyFile, expectNothingStaged } = await embedLandfallOnS3(undefined, { corsOrigins: '*' });
    const url = await site(pages.script, files);
    const rules = { CORSRules: documentedCors(new URL(url).origin) };
    // Some servers have no CORS setting for a bucket, and answer every origin by default.
    await s3.client.send(new PutBucketCorsCommand({ Bucket: s3.name, CORSConfiguration: rules })).catch((error: Error) => {
      if (error.name !== 'NotImplemented') throw error;
    });
    const context = await pages.browser.newContext();
    onTestFinished(() => context.close());
    const path = join(testDirectory(), 'film.mp4');
    await writeVideo(path, 12 * MIB);
    const page = await open(context, url);
    await send(page, path, { via: 'direct' });
    expect(await ends(page)).toMatchObject({ result: { size: 12 * MIB, type: 'video/mp4' } });
    expect((await onlyFile()).bytes.equals(await videoBytes(12 * MIB))).toBe(true);
    const sent = proxy.exchanges.filter(
      ({ method, path: to }) => method === 'PUT' && to.includes('X-Amz-Signature') && !to.includes('/probe'),
    );
    expect(sent.map(({ bytes }) => bytes)).toEqual([5 * MIB, 5 * MIB, 2 * MIB]);
    expect(sent.every(({ headers }) => headers.origin === new URL(url).origin)).toBe(true);
    await expectNothingStaged();
  },
);
