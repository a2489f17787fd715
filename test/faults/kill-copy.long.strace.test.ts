import { describe } from 'vitest';
import { otherDevice, testKills } from './kills.ts';

describe('the finish that publishes by copy', () => {
  testKills({ name: 'copy', storageDir: otherDevice, also: [] });
});
