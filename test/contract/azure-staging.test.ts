// @tus/azure-store keeps the contract that Landfall's own staging keeps.
import { AzureStore } from '@tus/azure-store';
import { describe } from 'vitest';
import { startAzurite } from '../support/azurite.ts';
import { openStoreStaging } from '../support/store-staging.ts';
import { testBodyIntake } from './body-intake.ts';
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
});
