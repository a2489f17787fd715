// Servers on both paths: bodies by Node's parser, and past it.
import type { Server } from 'node:http';
import { liftBodies } from '../../server/lift/lift.ts';

export const PATHS = ['plain', 'lifted'] as const;
export type BodyPath = (typeof PATHS)[number];

/** Lifts each body that may be, however short it is. A Node that is not made for it fails the test. */
export function liftEach(server: Server, onFault: (error: unknown) => void = rethrow): void {
  const onMissing = () => {
    throw new Error('This Node has not what the lift needs.');
  };
  liftBodies(server, { fromBytes: 1, onMissing, onFault });
}

function rethrow(error: unknown): never {
  throw error;
}
