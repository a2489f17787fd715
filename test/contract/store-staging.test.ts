// Stores of @tus/* fulfil the contract of Landfall's own staging.
import { FileStore } from '@tus/file-store';
import { describe } from 'vitest';
import { filesBelow } from '../support/content.ts';
import { openStoreStaging } from '../support/store-staging.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { testBodyIntake } from './body-intake.ts';
import { spoilable, testPromises } from './promises.ts';
import { testStaging } from './staging.ts';

const openStaging = () => openStoreStaging(new FileStore({ directory: testDirectory() }));

describe('staging in @tus/file-store', () => {
  testStaging(openStaging);
});

describe('a body on its way to @tus/file-store', () => {
  testBodyIntake(openStaging);
});

describe('docs/stores.md of @tus/file-store', () => {
  testPromises('`@tus/file-store`', async () => {
    const [directory, ledger] = [testDirectory(), testDirectory()];
    return {
      async open() {
        const store = new FileStore({ directory });
        const spoiled = spoilable(store);
        return { staging: await openStoreStaging(store, '', ledger), store, spoiled };
      },
      everything: () => filesBelow(directory),
    };
  });
});
