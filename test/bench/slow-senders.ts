// A separate process that keeps many uploads open and sends each a few KiB a second.
// Arguments: port, uploads, bytes a second. Prints `ready` once every upload is receiving; runs until it gets a signal.
import { Connection } from './connection.ts';
import { FILM, pieces } from './content.ts';
import { appendHeaders, createByTus } from './senders.ts';

/** So long that no upload is complete during the benchmark. */
const LENGTH = 1024 ** 3;
/** Spreads the senders over each second, as real senders are. */
const SLOTS = 20;
const SLOT_MS = 1000 / SLOTS;
/** The number of connections opened at a time, which fits into a server's backlog. */
const OPENED_AT_ONCE = 50;

const [port = 0, uploads = 0, bytesPerSecond = 0] = process.argv.slice(2).map(Number);
const senders: Connection[] = [];
for (let opened = 0; opened < uploads; opened += OPENED_AT_ONCE) {
  const count = Math.min(OPENED_AT_ONCE, uploads - opened);
  senders.push(...(await Promise.all(Array.from({ length: count }, open))));
}
let slot = 0;
let sent = 0;
setInterval(() => {
  for (let index = slot % SLOTS; index < senders.length; index += SLOTS) {
    for (const piece of pieces(FILM, Math.floor(slot / SLOTS) * bytesPerSecond, (Math.floor(slot / SLOTS) + 1) * bytesPerSecond)) {
      void senders[index]?.write(piece);
    }
  }
  slot += 1;
  sent = Math.floor(slot / SLOTS) * bytesPerSecond;
  // By then the server has inspected the first bytes of every upload.
  if (sent === bytesPerSecond * 3 && slot % SLOTS === 0) process.stdout.write('ready\n');
}, SLOT_MS);

async function open(): Promise<Connection> {
  const connection = await Connection.open(port);
  const path = await createByTus(connection, LENGTH);
  connection.begin('PATCH', path, appendHeaders(0), LENGTH).then(
    ({ status }) => fail(`The server ended an upload with ${status}.`),
    (error: Error) => fail(error.message),
  );
  return connection;
}

function fail(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}
