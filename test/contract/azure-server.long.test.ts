// A server whose bytes in progress are in @tus/azure-store.
import { AzureStore } from '@tus/azure-store';
import { describe } from 'vitest';
import { startAzurite } from '../support/azurite.ts';
import { testStoreServer } from './store-server.ts';

describe('with Azure', async () => {
  const newContainer = await startAzurite();
  testStoreServer(async () => {
    const client = await newContainer();
    return {
      hooks: { dataStore: new AzureStore({ client }) },
      async everything() {
        const names: string[] = [];
        for await (const { name } of client.listBlobsFlat()) names.push(name);
        return names;
      },
    };
  });
});
