import { describe } from 'vitest';
import { testKills } from './kills.ts';

describe('the finish that publishes by link', () => {
  testKills({ name: 'link', storageDir: () => undefined, also: [] });
});
