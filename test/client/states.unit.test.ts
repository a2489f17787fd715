import { expect, test } from 'vitest';
import type { UploadState } from '../../client/handle/snapshot.ts';
import { canTransition, isFinal, TRANSITIONS } from '../../client/handle/states.ts';

const STATES = Object.keys(TRANSITIONS) as UploadState[];
const OPEN = STATES.filter((state) => !isFinal(state));

test('accepted, rejected, failed and cancelled are the only final states', () => {
  expect(STATES.filter(isFinal)).toEqual(['accepted', 'rejected', 'failed', 'cancelled']);
});

test('an upload can be paused in every open state except paused, and cancelled in every open state', () => {
  for (const state of OPEN) {
    expect(canTransition(state, 'paused'), state).toBe(state !== 'paused');
    expect(canTransition(state, 'cancelled'), state).toBe(true);
  }
});

test('only an upload that the server has can get a verdict', () => {
  for (const verdict of ['accepted', 'rejected'] as const) {
    expect(STATES.filter((state) => canTransition(state, verdict))).toEqual(['preparing', 'uploading', 'inspecting']);
  }
});

test('no upload sends bytes before it was prepared', () => {
  expect(STATES.filter((state) => canTransition(state, 'uploading'))).toEqual(['preparing', 'inspecting']);
});
