import { describe, expect, test } from 'vitest';
import { Failure, type FailureCause, failureOf } from '../../client/transfer/failure.ts';
import { Backoff, Budget, decide, type RetryContext } from '../../client/transfer/retry.ts';
import { ERRORS, type ErrorCode, toProblem, UploadError } from '../../shared/errors.ts';

const USUAL: RetryContext = { isOnline: true, canReauthorize: false, canRestart: true };

interface Answer {
  method?: string;
  code?: ErrorCode;
  bytes?: number;
  headers?: Readonly<Record<string, string>>;
}

function answered(status: number, { method = 'PATCH', code, bytes = 1000, headers = {} }: Answer = {}) {
  const text = code === undefined ? '<h1>proxy</h1>' : JSON.stringify(toProblem(new UploadError(code)));
  return failureOf({ status, header: (name) => headers[name] ?? null, text }, method, 'http://host/files', bytes);
}

function broken(cause: FailureCause, method = 'PATCH') {
  return new Failure(new UploadError('ERR_NETWORK'), { cause, method });
}

describe('after a failed request', () => {
  test('a 429 for too many uploads makes the client wait for the others', () => {
    expect(decide(answered(429, { code: 'ERR_TOO_MANY_UPLOADS' }), USUAL)).toEqual({ kind: 'retry', reason: 'too-many' });
  });

  test.each([423, 425, 429, 500, 502, 503, 504, 520])('%i makes the client retry once the server has time', (status) => {
    expect(decide(answered(status), USUAL)).toEqual({ kind: 'retry', reason: 'busy' });
  });

  test.each([408, 409, 460])("%i makes the client retry at the server's offset", (status) => {
    expect(decide(answered(status), USUAL)).toEqual({ kind: 'retry', reason: 'interrupted' });
  });

  test.each([400, 403, 405, 412, 415, 422, 501, 505, 301])('%i is final', (status) => {
    expect(decide(answered(status), USUAL)).toEqual({ kind: 'fail' });
  });

  test.each(['unreachable', 'interrupted', 'stalled'] as const)('a connection that is %s makes the client retry', (cause) => {
    expect(decide(broken(cause), USUAL)).toEqual({ kind: 'retry', reason: cause });
    expect(decide(broken(cause), { ...USUAL, isOnline: false })).toEqual({ kind: 'retry', reason: 'offline' });
  });

  test('a full disk of the server makes the client wait', () => {
    expect(decide(answered(507, { code: 'ERR_NO_SPACE' }), USUAL)).toEqual({ kind: 'retry', reason: 'no-space' });
  });

  test('a pending verdict makes the client ask again, whatever the status', () => {
    expect(decide(answered(503, { code: 'ERR_INSPECTION_PENDING' }), USUAL)).toEqual({ kind: 'await-verdict' });
    expect(decide(answered(423, { code: 'ERR_INSPECTING' }), USUAL)).toEqual({ kind: 'await-verdict' });
  });

  test('every error code of 422 is a verdict, except a changed source and a key that another upload has', () => {
    for (const [code, { status }] of Object.entries(ERRORS)) {
      if (status !== 422 || code === 'ERR_IDEMPOTENCY_KEY_REUSED') continue;
      const kind = code === 'ERR_SOURCE_CHANGED' ? 'fail' : 'reject';
      expect(decide(answered(422, { code: code as ErrorCode }), USUAL), code).toEqual({ kind });
    }
  });

  test('a key that another upload has makes the client use a new key, once', () => {
    const reused = answered(422, { method: 'POST', code: 'ERR_IDEMPOTENCY_KEY_REUSED' });
    expect(decide(reused, USUAL)).toEqual({ kind: 'restart' });
    expect(decide(reused, { ...USUAL, canRestart: false })).toEqual({ kind: 'fail' });
  });

  test('413 from the server is a verdict, and from a proxy means that a chunk is too large', () => {
    expect(decide(answered(413, { code: 'ERR_MAX_SIZE_EXCEEDED' }), USUAL)).toEqual({ kind: 'reject' });
    expect(decide(answered(413), USUAL)).toEqual({ kind: 'shrink' });
    expect(decide(answered(413, { method: 'POST', bytes: 0 }), USUAL)).toEqual({ kind: 'fail' });
  });

  test('401 makes the client request new headers once, if the application gave a function', () => {
    expect(decide(answered(401), { ...USUAL, canReauthorize: true })).toEqual({ kind: 'reauthorize' });
    expect(decide(answered(401), USUAL)).toEqual({ kind: 'fail' });
  });

  test.each([404, 410])('%i of a tus server makes the client start over once, but for a creation means a wrong address', (status) => {
    const gone = answered(status, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
    expect(decide(gone, USUAL)).toEqual({ kind: 'restart' });
    expect(decide(answered(status, { code: 'ERR_UPLOAD_NOT_FOUND' }), USUAL)).toEqual({ kind: 'restart' });
    expect(decide(gone, { ...USUAL, canRestart: false })).toEqual({ kind: 'fail' });
    expect(decide(answered(status, { method: 'POST' }), USUAL)).toEqual({ kind: 'fail' });
  });

  test.each([404, 410])('%i of a proxy makes the client retry', (status) => {
    expect(decide(answered(status, { method: 'HEAD' }), USUAL)).toEqual({ kind: 'retry', reason: 'busy' });
    expect(decide(answered(status), { ...USUAL, canRestart: false })).toEqual({ kind: 'retry', reason: 'busy' });
  });

  test('an unexpected success comes from a proxy, but for a creation means a wrong address', () => {
    expect(decide(broken('unexpected', 'HEAD'), USUAL)).toEqual({ kind: 'retry', reason: 'interrupted' });
    expect(decide(broken('unexpected', 'POST'), USUAL)).toEqual({ kind: 'fail' });
  });
});

describe('an answer without success', () => {
  test('becomes the error that the server threw', () => {
    const problem = toProblem(new UploadError('ERR_MACRO', { detail: 'It has a macro.' }));
    const { error, hasProblemDocument } = failureOf(
      { status: 422, header: () => null, text: JSON.stringify(problem) },
      'PATCH',
      'http://host/files/1',
      1,
    );
    expect(hasProblemDocument).toBe(true);
    expect(error).toMatchObject({ code: 'ERR_MACRO', detail: 'It has a macro.', status: 422 });
  });

  test('has a code by its status where a proxy wrote it', () => {
    expect(answered(401).error.code).toBe('ERR_UNAUTHORIZED');
    expect(answered(502).error).toMatchObject({ code: 'ERR_INTERNAL', status: 502 });
    expect(answered(418).error).toMatchObject({ code: 'ERR_UNEXPECTED_RESPONSE', status: 418 });
  });

  test("gives the Retry-After date by the clock of the answering server, though the client's is hours off", () => {
    const headers: Record<string, string> = { Date: 'Tue, 05 Jan 2021 07:28:00 GMT', 'Retry-After': 'Tue, 05 Jan 2021 07:28:30 GMT' };
    const { error } = failureOf({ status: 503, header: (name) => headers[name] ?? null, text: '' }, 'PATCH', 'http://host/files/1', 1);
    expect(error.retryAfterSeconds).toBe(30);
  });

  test('gives the Retry-After in seconds, and none without one', () => {
    const answeredAfter = (value: string | null) =>
      failureOf({ status: 503, header: (name) => (name === 'Retry-After' ? value : null), text: '' }, 'PATCH', 'http://host/files/1', 1);
    expect(answeredAfter('120').error.retryAfterSeconds).toBe(120);
    expect(answeredAfter(null).error.retryAfterSeconds).toBeUndefined();
  });
});

describe('the pause before the next attempt', () => {
  const delays = (backoff: Backoff, reason: 'busy' | 'unreachable', count: number) =>
    Array.from({ length: count }, () => backoff.next(reason));

  test('is random up to a bound that doubles from 500 ms to 30 s', () => {
    expect(delays(new Backoff(() => 1), 'busy', 8)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    expect(delays(new Backoff(() => 0), 'busy', 3)).toEqual([0, 0, 0]);
    expect(delays(new Backoff(() => 0.5), 'busy', 3)).toEqual([250, 500, 1000]);
  });

  test('stays under 5 s while the host is unreachable', () => {
    expect(delays(new Backoff(() => 1), 'unreachable', 6)).toEqual([500, 1000, 2000, 4000, 5000, 5000]);
  });

  test('is zero after progress, and short again after that', () => {
    const backoff = new Backoff(() => 1);
    delays(backoff, 'busy', 5);
    backoff.progressed();
    expect(delays(backoff, 'busy', 3)).toEqual([0, 500, 1000]);
  });

  test('is the Retry-After of the server, up to ten minutes', () => {
    const backoff = new Backoff(() => 0);
    expect(backoff.next('busy', 7)).toBe(7000);
    expect(backoff.next('busy', 86_400)).toBe(600_000);
  });

  test('never overflows, however many attempts fail', () => {
    const backoff = new Backoff(() => 1);
    expect(delays(backoff, 'busy', 5000).at(-1)).toBe(30_000);
  });
});

test('only time without progress uses up the budget', () => {
  const budget = new Budget(1000);
  budget.spend(900);
  expect(budget.isSpent).toBe(false);
  budget.progressed();
  budget.spend(900);
  expect(budget.isSpent).toBe(false);
  budget.spend(100);
  expect(budget.isSpent).toBe(true);
});
