// All requests of an element share one token, which the element requests once, however many requests need it.
import { expect, test } from 'vitest';
import { type TokenRequest, TokenSource } from '../../client/element/token.ts';

const REQUEST = { method: 'POST', url: 'https://host.example/files' } as const;

/** A source that gives tokens t1, t2 … and counts the calls. */
function counting() {
  const asked: TokenRequest['reason'][] = [];
  const source = new TokenSource();
  source.getToken = async ({ reason }) => `t${asked.push(reason)}`;
  const headers = source.headersFor({ 'X-Page': 'own' });
  if (typeof headers !== 'function') throw new Error('These are asked for.');
  return { asked, source, headers };
}

const refused = (token: string) => ({ ...REQUEST, reason: 'unauthorized' as const, refused: { Authorization: `Bearer ${token}` } });

test('a token is requested once, and kept', async () => {
  const { asked, headers } = counting();
  const sent = await Promise.all([1, 2, 3].map(() => headers({ ...REQUEST, reason: 'request' })));
  expect(sent).toEqual(Array(3).fill({ 'X-Page': 'own', Authorization: 'Bearer t1' }));
  expect(asked).toEqual(['request']);
});

test('a token is renewed once for all requests that were refused with it, also for one that is refused later', async () => {
  const { asked, headers } = counting();
  await headers({ ...REQUEST, reason: 'request' });
  const renewed = await Promise.all([headers(refused('t1')), headers(refused('t1'))]);
  expect(renewed.map(({ Authorization }) => Authorization)).toEqual(['Bearer t2', 'Bearer t2']);
  expect((await headers(refused('t1'))).Authorization).toBe('Bearer t2');
  expect(asked).toEqual(['request', 'unauthorized']);
  expect((await headers(refused('t2'))).Authorization).toBe('Bearer t3');
});

test('a token that the application could not give is requested again', async () => {
  const source = new TokenSource();
  let isAway = true;
  source.getToken = async () => {
    if (isAway) throw new Error('away');
    return 'there';
  };
  await expect(source.current()).rejects.toThrow('away');
  await expect(source.renewed(undefined)).rejects.toThrow('away');
  isAway = false;
  expect(await source.current()).toBe('there');
});

test('a fixed token is sent when the application gave no function, and no token is sent when it gave none', async () => {
  const source = new TokenSource();
  expect(source.headersFor({ 'X-Page': 'own' })).toEqual({ 'X-Page': 'own' });
  source.token = 'given';
  const headers = source.headersFor(undefined);
  if (typeof headers !== 'function') throw new Error('These are asked for.');
  expect(await headers({ ...REQUEST, reason: 'request' })).toEqual({ Authorization: 'Bearer given' });
  source.token = 'new';
  expect(await headers(refused('given'))).toEqual({ Authorization: 'Bearer new' });
});
