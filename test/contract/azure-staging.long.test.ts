// @tus/azure-store fulfils the contract of Landfall's own staging.
import { AzureStore } from '@tus/azure-store';
import { describe } from 'vitest';
import { startAzurite } from '../support/azurite.ts';
import { openStoreStaging } from '../support/store-staging.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { testBodyIntake } from './body-intake.ts';
import { spoilable, testPromises } from './promises.ts';
import { testStaging } from './staging.ts';

describe('with Azure', async () => {
  const newContainer = await startAzurite();
  const openStaging = async () => openStoreStaging(new AzureStore({ client: await newContainer() }));

  describe('staging in @tus/azure-store', () => {
    testStaging(openStaging);
  });

  describe('a body on its way to @tus/azure-store', () => {
    testBodyIntake(openStaging);
  });

  describe('docs/stores.md of @tus/azure-store', () => {
    testPromises('`@tus/azure-store`', async () => {
      const [client, ledger] = [await newContainer(), testDirectory()];
      return {
        async open() {
          const store = new AzureStore({ client });
          const spoiled = spoilable(store);
          return { staging: await openStoreStaging(store, '', ledger), spoiled };
        },
        async everything() {
          const names: string[] = [];
          for await (const { name } of client.listBlobsFlat()) names.push(name);
          return names;
        },
      };
    });
  });
});
