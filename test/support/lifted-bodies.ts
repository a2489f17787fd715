// Servers for both paths of a body: through Node's parser (plain), and past it (lifted).
import type { Server } from 'node:http';
import { liftBodies } from '../../server/lift/lift.ts';

export const PATHS = ['plain', 'lifted'] as const;
export type BodyPath = (typeof PATHS)[number];

/** Lifts every body that the rule for heads allows, however short. The test fails when this version of Node lacks the internals. */
export function liftEach(server: Server, onFault: (error: unknown) => void = rethrow): void {
  const onMissing = () => {
    throw new Error('This version of Node lacks the internals that the lift needs.');
  };
  liftBodies(server, { fromBytes: 1, onMissing, onFault });
}

function rethrow(error: unknown): never {
  throw error;
}
