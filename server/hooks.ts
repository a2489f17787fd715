// The extension points for an embedding application.
import type { Logger } from 'pino';
import type { Authenticate } from './access/application.ts';
import type { Check } from './inspection/check.ts';
import type { OnEvent } from './notify/event-handler.ts';
import type { DataStore } from './staging/store/store-access.ts';

/**
 * What an embedding application adds.
 *
 * @example
 * ```ts
 * import { createLandfall, type LandfallHooks } from 'landfall-server';
 *
 * const hooks: LandfallHooks = {
 *   authenticate: (request) => sessionOf(request)?.userId ?? null,
 *   onEvent: ({ type, data }) => console.log(type, data.owner, data.name),
 * };
 * const landfall = createLandfall({ dataDir: './data' }, hooks);
 * ```
 */
export interface LandfallHooks {
  /** Identifies the sender: returns an owner, or null to refuse (401). @default all senders count as one owner */
  authenticate?: Authenticate;
  /**
   * Keeps bytes in progress, in place of Landfall's own staging: any DataStore of `@tus/*` that only the processes of this ledger
   * write to. It keeps bytes only; names, states and offsets are in the ledger. A file whose bytes the store returns changed is
   * refused (docs/stores.md). @default Landfall's own staging
   */
  dataStore?: DataStore;
  /** Checks that run after Landfall's own, in order. @default [] */
  checks?: readonly Check[];
  /**
   * Called with every event (docs/events.md) until it resolves: at least once, also after a crash, in one process at a time. A server
   * that gets this function for the first time calls it for events from then on. Without `publicUrl`, the `url` in an event ignores
   * the mount path. @default none
   */
  onEvent?: OnEvent;
  /**
   * The handler has a port of its own on `host`, as with the command: requests must name a host that the server knows
   * (docs/operations.md), and on a loopback address pages of this machine may upload. Leave it out inside an application, which
   * checks the host itself. @default false
   */
  isStandalone?: boolean;
  /**
   * The path at which the handler is mounted, with a slash at its start and none at its end. It is needed when the framework leaves the
   * path in `request.url`, or removes it without keeping `originalUrl`: Koa, Fastify's routes, Hono, h3, plain `http`, a proxy that
   * strips a prefix. Express, Connect, Polka and @fastify/middie report the path themselves. @default ''
   */
  mountPath?: string;
  /** Receives log lines. @default pino on standard output, at the level of the setting `logLevel` */
  logger?: Logger;
}
