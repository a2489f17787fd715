import { describe } from 'vitest';
import { testKills } from './kills.ts';

describe('the finish that publishes by rename', () => {
  testKills({ name: 'rename', storageDir: () => undefined, also: [{ calls: 'link,linkat', effect: 'error=EPERM' }] });
});
