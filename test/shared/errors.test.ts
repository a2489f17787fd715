import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode, fromProblem, isErrorCode, toProblem, UploadError } from '../../shared/errors.ts';

const codes = Object.keys(ERRORS) as ErrorCode[];

test('every code is spelt like one, has a sentence, and a status that fits it', () => {
  for (const code of codes) {
    const { status, title, retryable } = ERRORS[code];
    expect(code).toMatch(/^ERR_[A-Z_]+$/);
    expect(title).toMatch(/^[A-Z][^\n]*\.$/);
    expect(status === 0 || (status >= 400 && status <= 599)).toBe(true);
    // A stock client takes 500 for a lost upload; and who gets any 5xx must be able to try again.
    expect(status).not.toBe(500);
    if (status >= 500) expect(retryable).toBe(true);
  }
});

test('only codes of the table are codes', () => {
  expect(isErrorCode('ERR_EMPTY')).toBe(true);
  for (const other of ['ERR_NOTHING', 'constructor', '__proto__', '', 5, null, undefined]) expect(isErrorCode(other)).toBe(false);
});

describe('an error', () => {
  test.each(codes)('%s is the same after the wire', (code) => {
    const sent = new UploadError(code, { detail: 'It has a reason.' });
    const received = fromProblem(JSON.parse(JSON.stringify(toProblem(sent))));
    expect(received).toBeInstanceOf(UploadError);
    expect({ ...received, message: received?.message }).toEqual({ ...sent, message: sent.message });
  });

  test('has a message of its title and its detail', () => {
    expect(new UploadError('ERR_EMPTY').message).toBe('The file is empty.');
    expect(new UploadError('ERR_EMPTY', { detail: 'It contains no bytes.' }).message).toBe('The file is empty. It contains no bytes.');
  });

  test('never carries its cause to the wire', () => {
    const error = new UploadError('ERR_INTERNAL', { cause: new Error('ENOENT: /srv/data') });
    expect(JSON.stringify(toProblem(error))).not.toContain('ENOENT');
    expect(error.cause).toBeInstanceOf(Error);
  });

  test('keeps the seconds to wait and another status', () => {
    const error = new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 3, status: 409 });
    expect([error.retryAfterSeconds, error.status, error.retryable]).toEqual([3, 409, true]);
  });
});

test.each([[null], ['<html>'], [{}], [{ code: 'ERR_UNKNOWN' }], [{ code: 42 }], [[]], [undefined]])(
  '%j is no problem document of ours',
  (body) => {
    expect(fromProblem(body)).toBeUndefined();
  },
);
