// Uploads inside an Express application: it decides who may upload, has a check, and handles accepted files.
// Run: node server.ts   (needs express and landfall-server)
import express from 'express';
import { type Check, createLandfall } from 'landfall-server';

const OWNERS: Readonly<Record<string, string>> = { 'token-of-ada': 'ada', 'token-of-ben': 'ben' };

/** Refuses files that are too small to be a film of one second. */
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
landfall.attach(server); // lets uploads take hours; the application's own routes keep Node's limit of five minutes

process.once('SIGTERM', async () => {
  await landfall.close(); // asks the clients of running uploads to try again later
  server.close();
});
