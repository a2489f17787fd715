// @tus/server as its README describes, in a process of its own: with @tus/file-store, or with @tus/s3-store. The test passes options in
// the environment.
import { createServer } from 'node:http';
import { FileStore } from '@tus/file-store';
import { S3Store } from '@tus/s3-store';
import { Server } from '@tus/server';

const { STOCK_PORT, STOCK_DIRECTORY, STOCK_BUCKET, STOCK_ENDPOINT, STOCK_REGION, STOCK_PREFIX = '', STOCK_NAMES } = process.env;

const datastore =
  STOCK_DIRECTORY === undefined
    ? new S3Store({
        partSize: 5 * 1024 * 1024,
        s3ClientConfig: {
          bucket: STOCK_BUCKET ?? '',
          endpoint: STOCK_ENDPOINT ?? '',
          region: STOCK_REGION ?? '',
          forcePathStyle: true,
          requestChecksumCalculation: 'WHEN_REQUIRED',
        },
      })
    : new FileStore({ directory: STOCK_DIRECTORY });

let named = 0;
// The recipe of its documentation for ids with slashes.
const withFolders = {
  namingFunction: () => `${STOCK_PREFIX}somebody/${++named}-of-theirs`,
  generateUrl: (_request: unknown, { proto, host, path, id }: { proto: string; host: string; path: string; id: string }) =>
    `${proto}://${host}${path}/${Buffer.from(id).toString('base64url')}`,
  getFileIdFromRequest: (_request: unknown, last?: string) => Buffer.from(last ?? '', 'base64url').toString('utf8'),
};
const prefixed = STOCK_PREFIX === '' ? {} : withFolders;
const short = { namingFunction: () => `upload-${++named}` };

const server = new Server({
  path: '/files',
  datastore,
  respectForwardedHeaders: false,
  ...(STOCK_NAMES === 'folders' ? withFolders : STOCK_NAMES === 'short' ? short : prefixed),
});
createServer((request, response) => void server.handle(request, response)).listen(Number(STOCK_PORT), '127.0.0.1', () => {
  process.stdout.write('listening\n');
});
