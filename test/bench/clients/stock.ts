// Sends one file with unmodified tus-js-client: `stock.ts FILE ENDPOINT`.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Upload } from 'tus-js-client';

const [path = '', endpoint = ''] = process.argv.slice(2);
const { size } = await stat(path);
const upload = new Upload(createReadStream(path), {
  endpoint,
  uploadSize: size,
  metadata: { filename: 'film.mp4' },
  onSuccess: () => process.exit(0),
  onError: (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  },
});
upload.start();
