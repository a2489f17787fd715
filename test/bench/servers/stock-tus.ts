// @tus/server behind Express as its documentation shows; with BENCH_CHECKSUM=1 it also computes a running CRC-32.
import { type Readable, Transform } from 'node:stream';
import { crc32 } from 'node:zlib';
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';
import express from 'express';
import { DIRECTORY, listen } from './listen.ts';

class ChecksummedStore extends FileStore {
  override write(readable: Readable, id: string, offset: number): Promise<number> {
    let checksum = 0;
    const running = new Transform({
      transform(chunk: Buffer, _encoding, callback) {
        checksum = crc32(chunk, checksum);
        callback(null, chunk);
      },
    });
    readable.on('error', (error) => running.destroy(error));
    return super.write(readable.pipe(running), id, offset);
  }
}

const directory = `${DIRECTORY}/uploads`;
const datastore = process.env.BENCH_CHECKSUM === '1' ? new ChecksummedStore({ directory }) : new FileStore({ directory });
const tus = new Server({ path: '/files', relativeLocation: true, datastore });
const app = express();
app.use((request, response) => tus.handle(request, response));
listen(app);
