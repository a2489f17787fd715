import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode, fromProblem, isErrorCode, toProblem, UploadError } from '../../shared/errors.ts';

const codes = Object.keys(ERRORS) as ErrorCode[];

test('every error code has the right spelling, a sentence, and a fitting status', () => {
  for (const code of codes) {
    const { status, title, retryable } = ERRORS[code];
    expect(code).toMatch(/^ERR_[A-Z_]+$/);
    expect(title).toMatch(/^[A-Z][^\n]*\.$/);
    expect(status === 0 || (status >= 400 && status <= 599)).toBe(true);
    // A stock client takes 500 for a lost upload, and a client that gets a 5xx must be able to retry.
    expect(status).not.toBe(500);
    if (status >= 500) expect(retryable).toBe(true);
  }
});

test('only codes of the table are error codes', () => {
  expect(isErrorCode('ERR_EMPTY')).toBe(true);
  for (const other of ['ERR_NOTHING', 'constructor', '__proto__', '', 5, null, undefined]) expect(isErrorCode(other)).toBe(false);
});

describe('an error', () => {
  test.each(codes)('%s is the same after it was sent as a problem document', (code) => {
    const sent = new UploadError(code, { detail: 'It has a reason.' });
    const received = fromProblem(JSON.parse(JSON.stringify(toProblem(sent))));
    expect(received).toBeInstanceOf(UploadError);
    expect({ ...received, message: received?.message }).toEqual({ ...sent, message: sent.message });
  });

  test('has a message made of its title and its detail', () => {
    expect(new UploadError('ERR_EMPTY').message).toBe('The file is empty.');
    expect(new UploadError('ERR_EMPTY', { detail: 'It contains no bytes.' }).message).toBe('The file is empty. It contains no bytes.');
  });

  test('never sends its cause', () => {
    const error = new UploadError('ERR_INTERNAL', { cause: new Error('ENOENT: /srv/data') });
    expect(JSON.stringify(toProblem(error))).not.toContain('ENOENT');
    expect(error.cause).toBeInstanceOf(Error);
  });

  test('keeps its seconds to wait and a differing status', () => {
    const error = new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 3, status: 409 });
    expect([error.retryAfterSeconds, error.status, error.retryable]).toEqual([3, 409, true]);
  });
});

test.each([[null], ['<html>'], [{}], [{ code: 'ERR_UNKNOWN' }], [{ code: 42 }], [[]], [undefined]])(
  '%j is not one of our problem documents',
  (body) => {
    expect(fromProblem(body)).toBeUndefined();
  },
);
