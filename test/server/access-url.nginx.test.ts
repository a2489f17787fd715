// One authority for nginx and Landfall: nginx asks it by `auth_request`, and Landfall asks it the same way. It is nginx's own
// basic authentication.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { runNginx } from '../support/nginx.ts';
import { createUpload, patchUpload, readRecord } from '../support/tus-requests.ts';

function basic(name: string, password: string): { Authorization: string } {
  return { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` };
}

it('the authority of nginx’s auth_request also decides over uploads', async () => {
  const nginx = await runNginx((directory) => {
    writeFileSync(join(directory, 'users'), 'anna:{PLAIN}one\nboris:{PLAIN}two\n');
    writeFileSync(join(directory, 'yes'), '');
    return `location = /auth {
      auth_basic "Uploads";
      auth_basic_user_file ${directory}/users;
      add_header X-Owner $remote_user;
      alias ${directory}/yes;
    }
    location = /ask {
      internal;
      proxy_pass http://127.0.0.1:$server_port/auth;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
    }
    location = /guarded {
      auth_request /ask;
      alias ${directory}/yes;
    }`;
  });
  const { files } = await embedLandfall({ access: 'url', accessUrl: `${nginx}/auth`, accessOwnerHeader: 'X-Owner' });
  const anna = basic('anna', 'one');
  const boris = basic('boris', 'two');
  for (const [headers, status] of [
    [anna, 200],
    [boris, 200],
    [basic('anna', 'two'), 401],
    [{}, 401],
  ] as [Record<string, string>, number][]) {
    expect((await fetch(`${nginx}/guarded`, { headers })).status).toBe(status);
    const created = await createUpload(files, { length: 10, name: 'a.txt', headers });
    expect(created.status).toBe(status === 200 ? 201 : status);
  }
  const { url } = await createUpload(files, { length: 10, name: 'a.txt', headers: anna });
  expect(await patchUpload(url, 0, Buffer.from('0123456789'), boris)).toMatchObject({ status: 404 });
  expect(await patchUpload(url, 0, Buffer.from('0123456789'), anna)).toMatchObject({ status: 204, offset: 10 });
  expect(await readRecord(url, anna)).toMatchObject({ state: 'accepted' });
});
