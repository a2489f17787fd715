// What an embedding application brings along.
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
  /** Who asks: an owner, or null for nobody (401). @default all senders count as one owner */
  authenticate?: Authenticate;
  /**
   * What keeps bytes in progress, in the stead of Landfall itself: any DataStore of `@tus/*` that nothing but the processes of this
   * ledger writes to. It keeps bytes and no more: names, states and offsets are the ledger's, and a file that it hands back otherwise
   * than it came is refused (docs/stores.md). @default Landfall's own staging
   */
  dataStore?: DataStore;
  /** Run after Landfall's own, in order. @default [] */
  checks?: readonly Check[];
  /**
   * Told of every event (docs/events.md) until it resolves: at least once, also after a crash, in one process at a time. A server
   * that has it for the first time is told what happens from then on. Without `publicUrl` the `url` is that of an unmounted server.
   * @default none
   */
  onEvent?: OnEvent;
  /**
   * The handler serves a port of its own on `host`, as the command does: requests are held to the names that the server is known
   * by (docs/operations.md), and on a loopback address pages of this machine may upload. Within an application leave it out:
   * the names are the application's. @default false
   */
  isStandalone?: boolean;
  /**
   * Where the handler is mounted, with a slash in front and none behind, where what hands requests on leaves that path in
   * `request.url`, or cuts it off and keeps no `originalUrl`: Koa, Fastify's routes, Hono, h3, plain `http`, a proxy that strips a
   * prefix. Express, Connect, Polka and @fastify/middie tell it. @default ''
   */
  mountPath?: string;
  /** Where log lines go. @default pino on standard output, at the level of the setting `logLevel` */
  logger?: Logger;
}
