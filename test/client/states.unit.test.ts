import { expect, test } from 'vitest';
import type { UploadState } from '../../client/handle/snapshot.ts';
import { canMove, isOver, MOVES } from '../../client/handle/states.ts';

const STATES = Object.keys(MOVES) as UploadState[];
const OPEN = STATES.filter((state) => !isOver(state));

test('accepted, rejected, failed and cancelled are final and nothing else is', () => {
  expect(STATES.filter(isOver)).toEqual(['accepted', 'rejected', 'failed', 'cancelled']);
});

test('every open state can be paused, but paused itself, and every one can be cancelled', () => {
  for (const state of OPEN) {
    expect(canMove(state, 'paused'), state).toBe(state !== 'paused');
    expect(canMove(state, 'cancelled'), state).toBe(true);
  }
});

test('a verdict comes only to an upload that is with the server', () => {
  for (const verdict of ['accepted', 'rejected'] as const) {
    expect(STATES.filter((state) => canMove(state, verdict))).toEqual(['preparing', 'uploading', 'inspecting']);
  }
});

test('nothing moves bytes without having been prepared', () => {
  expect(STATES.filter((state) => canMove(state, 'uploading'))).toEqual(['preparing', 'inspecting']);
});
