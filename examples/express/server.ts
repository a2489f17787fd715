// Uploads inside an Express application: who may upload, a check of its own, and what happens with an accepted file.
// Run: node server.ts   (needs express and landfall-server)
import express from 'express';
import { type Check, createLandfall } from 'landfall-server';

const OWNERS: Readonly<Record<string, string>> = { 'token-of-ada': 'ada', 'token-of-ben': 'ben' };

/** Films only: what is shorter than a second of one is a mistake. */
const notTiny: Check = {
  name: 'not-tiny',
  async run({ length }) {
    return length < 10_000 ? { code: 'ERR_CHECK_REFUSED', detail: 'A film has more than 10 kB.' } : undefined;
  },
};

const landfall = createLandfall(
  { dataDir: './data', allow: 'video', maxUploadSize: '50 GiB', expireAfter: '3d', logLevel: 'warn' },
  {
    authenticate: ({ headers }) => OWNERS[headers.authorization?.replace(/^Bearer /, '') ?? ''] ?? null,
    checks: [notTiny],
    onEvent: ({ type, data: { id, state, name, length, error } }) => {
      if (type === 'upload.accepted' || type === 'upload.rejected') console.log(state, id, name, length, error?.detail ?? '');
    },
  },
);
await landfall.start();

const app = express();
app.use('/uploads', landfall.handler); // before anything that reads bodies
app.use(express.json());
app.get('/', (_request, response) => response.send('The application'));

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => console.log('ready'));
landfall.attach(server); // uploads may take hours; the application's own routes keep Node's limit of five minutes

process.once('SIGTERM', async () => {
  await landfall.close(); // running uploads are told to come back
  server.close();
});
