// `landfall-server events`: lists events and their deliveries, and sends events again.
import type { ApplicationRecord } from '../../shared/upload.ts';
import { Deliveries } from '../ledger/deliveries.ts';
import type { Engine } from '../ledger/engine.ts';
import { findEvent, type ListedEvent, listEvents } from '../ledger/event-list.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import { eventBody } from '../notify/event-body.ts';
import { type ListOptions, limitOf, type Output, UsageError, writePaced } from './usage.ts';

const PAGE = 200;
const STATES = ['pending', 'failed'] as const;
/** The consumer of these deliveries. Only the server's own process calls the function of an embedding application. */
const CONSUMER = 'webhook';

/** An upload as the application sees it. */
type Describe = (upload: Upload) => ApplicationRecord;

/** Runs `events ls | redeliver ID… | enable`. Returns the exit code. @throws UsageError */
export async function runEventsCommand(
  [command, ...operands]: readonly string[],
  options: ListOptions,
  engine: Engine,
  ledger: Ledger,
  describe: Describe,
  output: Output,
): Promise<number> {
  if (command === 'redeliver') return redeliver(operands, engine, ledger, output);
  if (operands.length > 0) throw new UsageError(`"events ${command}" takes no "${operands[0]}". See landfall-server --help.`);
  if (command === 'ls') return list(options, engine, describe, output);
  if (command === 'enable') return enable(engine, ledger, output);
  throw new UsageError('Write events ls, events redeliver ID or events enable. See landfall-server --help.');
}

async function list(
  { state, limit, after, json = false }: ListOptions,
  engine: Engine,
  describe: Describe,
  output: Output,
): Promise<number> {
  const wanted = STATES.find((candidate) => candidate === state);
  if (state !== undefined && wanted === undefined) throw new UsageError(`--state is one of ${STATES.join(', ')}.`);
  let before: number | undefined;
  if (after !== undefined) {
    const last = await findEvent(engine, CONSUMER, after);
    if (last === undefined) return missing(after, output);
    before = last.position;
  }
  for (let left = limitOf(limit); left > 0; ) {
    const page = await listEvents(engine, CONSUMER, {
      limit: Math.min(PAGE, left),
      ...(wanted && { state: wanted }),
      ...(before && { before }),
    });
    for (const event of page) await writePaced(output, `${json ? JSON.stringify(shown(event, describe)) : lineOf(event)}\n`);
    left -= page.length;
    before = page.at(-1)?.position;
    if (page.length < PAGE) break;
  }
  return 0;
}

function lineOf(event: ListedEvent): string {
  const { id, type, at, uploadId, delivery, attempts, lastError } = event;
  const time = new Date(at).toISOString().slice(0, 19);
  const trouble = lastError === null ? '' : `  ${attempts} attempts, last error: ${lastError.replaceAll(/\p{Cc}/gu, ' ')}`;
  return `${id}  ${type.padEnd(17)}  ${time}  ${uploadId}  ${delivery}${trouble}`;
}

function shown({ body, upload, ...event }: ListedEvent, describe: Describe): object {
  // Not written to the ledger: this command may have other settings than the server.
  const made = body ?? (upload === null ? 'null' : eventBody({ ...event, upload }, describe));
  return { ...event, at: new Date(event.at).toISOString(), event: JSON.parse(made) };
}

async function redeliver(ids: readonly string[], engine: Engine, ledger: Ledger, output: Output): Promise<number> {
  if (ids.length === 0) throw new UsageError('Name events by their ids, as `landfall-server events ls` prints them.');
  const deliveries = new Deliveries(engine, CONSUMER);
  let code = 0;
  for (const id of ids) {
    const event = await findEvent(engine, CONSUMER, id);
    if (event === undefined) {
      code = missing(id, output);
      continue;
    }
    await deliveries.redeliver(event.position, event.uploadId, ledger.now());
    output.write(`${id} will be sent\n`);
  }
  if ((await deliveries.consumer()) === undefined) output.write('They wait until a server starts with LANDFALL_WEBHOOK_URL.\n');
  return code;
}

async function enable(engine: Engine, ledger: Ledger, output: Output): Promise<number> {
  const isKnown = await new Deliveries(engine, CONSUMER).enable(ledger.now());
  output.write(
    isKnown
      ? 'Events are sent to the webhook again, starting with those that were kept for it.\n'
      : 'No server was started with LANDFALL_WEBHOOK_URL yet.\n',
  );
  return isKnown ? 0 : 1;
}

function missing(id: string, output: Output): number {
  output.write(`There is no event ${id}.\n`);
  return 1;
}
