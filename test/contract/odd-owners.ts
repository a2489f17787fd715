// Owners are kept apart by their names, with every ledger.
import { expect } from 'vitest';
import { says, startAccessApplication } from '../support/access-application.ts';
import { bearer } from '../support/credentials.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { grant, jwt, PROXIED } from '../support/rights.ts';
import { createUpload, type ExtraHeaders, headUpload } from '../support/tus-requests.ts';

const FILE = { length: 10, name: 'a.txt' };

/** Names that some layer may confuse with others, or take for more than a name. */
const OWNERS = [
  ...['anna', 'Anna', 'ANNA', 'anna ', ' anna', 'anna.', 'a%6ena', 'ａnna', 'аnna', 'anna\u200b', '\u00e9', 'e\u0301', 'ß', 'ss', 'ı', 'i'],
  ...['owner:anna', 'address:192.0.2.1', 'address:', 'key:anna', 'url:anna', 'application:anna', 'grant:one', 'volume', 'owner:', ':'],
  ...['%', '_', '%%', '*', "'", "''", '"', '`', '\\', '\\0', "' or 1=1 --", '"; drop table uploads; --', '$1', '?', '{}', '[]', 'null'],
  ...['__proto__', 'constructor', 'toString', '../anna', '/', '👩‍👩‍👧', '\u202eanna', '0', '-0', 'NaN', 'x'.repeat(255), 'é'.repeat(255)],
];

export async function expectOwnersApart(place: { databaseUrl?: string }): Promise<void> {
  const application = await startAccessApplication();
  application.decide(({ question: { sender, upload } }, response) => {
    const owner = Buffer.from(sender?.cookie ?? '', 'hex').toString();
    if (upload.id === undefined) says(response, { owner, maxUploads: 2 });
    else says(response, { owner });
  });
  const server = await embedLandfall({
    access: ['jwt', 'grants', 'url', 'anonymous'],
    accessUrl: application.url,
    ownerMaxUploads: 3,
    anonymousMaxUploads: 2,
    ...PROXIED,
    ...place,
  });
  const { files } = server;
  const leaks: string[] = [];
  let tried = 0;
  const made = await Promise.all(
    OWNERS.map(async (owner, index) => {
      const shown: ExtraHeaders[] = [
        bearer(jwt(owner)),
        bearer(grant(owner, { id: `odd.${index}`, maxUploads: 1 })),
        { Cookie: Buffer.from(owner).toString('hex') },
      ];
      const uploads = [];
      // One upload by each access source; then there are three.
      for (const headers of shown) {
        const { status, url } = await createUpload(files, { ...FILE, headers });
        uploads.push({ shown: headers, status, url });
      }
      for (const headers of shown) {
        const { code } = await createUpload(files, { ...FILE, headers });
        tried++;
        if (code !== 'ERR_TOO_MANY_UPLOADS' && code !== 'ERR_ACCESS_USED_UP') leaks.push(`${owner} has a fourth: ${code}`);
      }
      return { owner, uploads };
    }),
  );
  for (const { owner, uploads } of made) {
    const statuses = uploads.map(({ status }) => status);
    if (String(statuses) !== '201,201,201') leaks.push(`${JSON.stringify(owner)} counts with another: ${statuses}`);
  }
  await Promise.all(
    made.map(async ({ owner, uploads }, index) => {
      const [own, others] = [uploads[0]?.shown ?? {}, made.filter((_other, at) => at !== index)];
      for (const { url } of uploads) {
        const { status } = await headUpload(url, own);
        tried++;
        if (status !== 200) leaks.push(`${JSON.stringify(owner)} has not what is his own: ${status}`);
      }
      for (const { owner: other, uploads: theirs } of others) {
        const at = index % 3;
        const { status } = await headUpload(theirs[at]?.url ?? '', uploads[(index + at) % 3]?.shown);
        tried++;
        if (status !== 404) leaks.push(`${JSON.stringify(owner)} finds what is of ${JSON.stringify(other)}: ${status}`);
      }
    }),
  );
  // An owner named like an address counts neither with that address nor in its place.
  const from = { 'X-Forwarded-For': '192.0.2.1' };
  const anonymous = [];
  for (let n = 0; n < 3; n++) anonymous.push((await createUpload(files, { ...FILE, headers: from })).status);
  if (String(anonymous) !== '201,201,429') leaks.push(`the address counts with an owner: ${anonymous}`);
  console.info(`${OWNERS.length} owners, ${tried} attempts, ${leaks.length} leaks`);
  expect(leaks).toEqual([]);
}
