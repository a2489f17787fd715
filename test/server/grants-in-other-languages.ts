// The requirements for a grant made in another language.
import { expect } from 'vitest';
import { bearer } from '../support/credentials.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { runServerCommand } from '../support/server-command.ts';
import { createUpload, idOf } from '../support/tus-requests.ts';

export const SECRET = 'a secret with “signs” of its own: ä€';
export const OWNER = 'order-1 “ü”';

/** @param make makes a grant of `OWNER` for one upload of 1 KiB at most, valid for an hour */
export async function expectGrant(make: (secret: string) => Promise<string>): Promise<void> {
  const server = await embedLandfall({ access: 'grants', grantSecrets: [SECRET] });
  const headers = bearer(await make(SECRET));
  const create = (length: number) => createUpload(server.files, { length, name: 'a.txt', body: Buffer.alloc(length, 'a'), headers });
  expect(await create(1025)).toMatchObject({ status: 413, code: 'ERR_MAX_SIZE_EXCEEDED' });
  const { status, url } = await create(4);
  expect(status).toBe(201);
  const shown = await runServerCommand(['show', idOf(url)], { LANDFALL_DATA_DIR: server.dataDir });
  expect(JSON.parse(shown.out)).toMatchObject({ owner: OWNER });
  expect(await create(4)).toMatchObject({ status: 403, code: 'ERR_ACCESS_USED_UP' });
  const other = bearer(await make(`another ${SECRET}`));
  expect(await createUpload(server.files, { length: 4, name: 'a.txt', headers: other })).toMatchObject({ status: 401 });
}
