// A process of its own that holds many uploads open and brings each a few KiB a second.
// Argument: port, uploads, bytes a second. Says `ready` once every upload receives; ends when told to.
import { Connection } from './connection.ts';
import { FILM, pieces } from './content.ts';
import { appendHeaders, createByTus } from './senders.ts';

/** Longer than anybody waits for it. */
const LENGTH = 1024 ** 3;
/** So that senders come one after another within the second, as they do in life. */
const SLOTS = 20;
const SLOT_MS = 1000 / SLOTS;
/** Connections are opened this many at a time: no more wait in a server's backlog than it holds. */
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
  // Every head has been looked at by then.
  if (sent === bytesPerSecond * 3 && slot % SLOTS === 0) process.stdout.write('ready\n');
}, SLOT_MS);

async function open(): Promise<Connection> {
  const connection = await Connection.open(port);
  const path = await createByTus(connection, LENGTH);
  connection.begin('PATCH', path, appendHeaders(0), LENGTH).then(
    ({ status }) => fail(`An upload was answered ${status}.`),
    (error: Error) => fail(error.message),
  );
  return connection;
}

function fail(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}
