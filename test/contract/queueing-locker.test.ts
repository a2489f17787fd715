import { describe } from 'vitest';
import { QueueingLocker } from '../../server/locking/queueing-locker.ts';
import { testLocker } from './locker.ts';

describe('the locker of one process', () => {
  testLocker(async (timeoutMs) => new QueueingLocker(timeoutMs));
});
