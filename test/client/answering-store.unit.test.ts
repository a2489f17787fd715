import { expect, test } from 'vitest';
import type { ResumeStore } from '../../client/resume/store.ts';
import { answeringStore } from '../../client/transfer/answering-store.ts';

const never = () => new Promise<never>(() => {});

test.each(['list', 'get', 'put', 'remove'] as const)('a call of %s fails when the store never answers', async (method) => {
  const silent: ResumeStore = { list: never, get: never, put: never, remove: never };
  await expect(answeringStore(silent, 1)[method]({} as never)).rejects.toMatchObject({ name: 'TimeoutError' });
});
