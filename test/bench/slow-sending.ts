// A separate process that keeps many uploads open and sends each a few KiB a second.
// Arguments: port, uploads, bytes a second, length of each upload. Prints `ready` once every upload is receiving; runs until it gets a signal.
import { Connection } from './connection.ts';
import { FILM, pieces } from './content.ts';
import { appendHeaders, createByTus } from './senders.ts';

/** Spreads the senders over each second, as real senders are. */
const SLOTS = 20;
const SLOT_MS = 1000 / SLOTS;
/** The number of connections opened at a time, which fits into a server's backlog. */
const OPENED_AT_ONCE = 25;
/** This long after the last upload was opened, the server has inspected the first bytes of every upload. */
const SETTLED_MS = 3000;

interface Sender {
  connection: Connection;
  sent: number;
}

const [port = 0, uploads = 0, bytesPerSecond = 0, length = 0] = process.argv.slice(2).map(Number);
const senders: Sender[] = [];
let slot = 0;
// Starts with the first upload: the server ends an upload that is silent for long.
setInterval(() => {
  for (let index = slot % SLOTS; index < senders.length; index += SLOTS) send(senders[index]);
  slot += 1;
}, SLOT_MS);
while (senders.length < uploads) {
  const count = Math.min(OPENED_AT_ONCE, uploads - senders.length);
  const connections = await Promise.all(Array.from({ length: count }, open));
  senders.push(...connections.map((connection) => ({ connection, sent: 0 })));
}
setTimeout(() => process.stdout.write('ready\n'), SETTLED_MS);

function send(sender: Sender | undefined): void {
  if (sender === undefined) return;
  for (const piece of pieces(FILM, sender.sent, sender.sent + bytesPerSecond)) void sender.connection.write(piece);
  sender.sent += bytesPerSecond;
}

async function open(): Promise<Connection> {
  const connection = await Connection.open(port);
  const path = await createByTus(connection, length);
  connection.begin('PATCH', path, appendHeaders(0), length).then(
    ({ status }) => fail(`The server ended an upload with ${status}.`),
    (error: Error) => fail(error.message),
  );
  return connection;
}

function fail(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}
