import { expect, test } from 'vitest';
import type { UploadState } from '../../client/handle/snapshot.ts';
import { canTransition, isFinal, TRANSITIONS } from '../../client/handle/states.ts';

const STATES = Object.keys(TRANSITIONS) as UploadState[];
const OPEN = STATES.filter((state) => !isFinal(state));

test('accepted, rejected, failed and cancelled are final and nothing else is', () => {
  expect(STATES.filter(isFinal)).toEqual(['accepted', 'rejected', 'failed', 'cancelled']);
});

test('every open state can be paused, but paused itself, and every one can be cancelled', () => {
  for (const state of OPEN) {
    expect(canTransition(state, 'paused'), state).toBe(state !== 'paused');
    expect(canTransition(state, 'cancelled'), state).toBe(true);
  }
});

test('a verdict comes only to an upload that is with the server', () => {
  for (const verdict of ['accepted', 'rejected'] as const) {
    expect(STATES.filter((state) => canTransition(state, verdict))).toEqual(['preparing', 'uploading', 'inspecting']);
  }
});

test('nothing moves bytes without having been prepared', () => {
  expect(STATES.filter((state) => canTransition(state, 'uploading'))).toEqual(['preparing', 'inspecting']);
});
