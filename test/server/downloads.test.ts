// Who may download an accepted file, and by which address.
import { describe, expect, it } from 'vitest';
import { type LandfallHooks, UploadError } from '../../server/index.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { giveLink } from '../support/links.ts';
import { createUpload, idOf, readRecord, tusRequest } from '../support/tus-requests.ts';

const TEXT = Buffer.from('a few words, long enough to be a text\n');
const byHeader: LandfallHooks = { authenticate: ({ headers }) => headers['x-user']?.toString() ?? null };
const ANNA = { 'X-User': 'anna' };

async function withFile(config: Parameters<typeof embedLandfall>[0] = {}, hooks: LandfallHooks = byHeader) {
  const server = await embedLandfall(config, hooks);
  const { url, status } = await createUpload(server.files, { length: TEXT.length, name: 'a.txt', body: TEXT, headers: ANNA });
  expect(status).toBe(201);
  return { ...server, address: url, id: idOf(url) };
}

const statusOf = async (url: string, init?: RequestInit) => (await fetch(url, init)).status;

describe('LANDFALL_DOWNLOADS', () => {
  it('owner: the sender, and any holder of a signed address', async () => {
    const { address, id, landfall, url } = await withFile();
    expect(await statusOf(address)).toBe(401);
    expect(await statusOf(address, { headers: { 'X-User': 'ben' } })).toBe(404);
    expect(await statusOf(address, { headers: ANNA })).toBe(200);
    expect(await statusOf(url + (await landfall.downloadUrl(id)))).toBe(200);
  });

  it('anyone: any client that knows the address, and only the file', async () => {
    const { address } = await withFile({ downloads: 'anyone' });
    expect(await (await fetch(address)).text()).toBe(TEXT.toString());
    expect(await statusOf(address, { method: 'HEAD' })).toBe(200);
    expect(await statusOf(`${address}/status`)).toBe(401);
    expect((await tusRequest('HEAD', address)).status).toBe(401);
    expect((await tusRequest('DELETE', address)).status).toBe(401);
  });

  it('signed: only a signed address, also for the sender', async () => {
    const { address, id, landfall, url } = await withFile({ downloads: 'signed' });
    const refused = await fetch(address, { headers: ANNA });
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ code: 'ERR_ACTION_NOT_ALLOWED' });
    const { url: told } = await readRecord(address, ANNA);
    expect(await statusOf(url + told)).toBe(200);
    expect(await statusOf(url + (await landfall.downloadUrl(id, { expires: '1h' })))).toBe(200);
  });

  it('off: nobody, by no address, and the record has none', async () => {
    const open = await withFile();
    const signed = await open.landfall.downloadUrl(open.id);
    await open.close();
    const { address, id, landfall, url } = { ...open, ...(await embedLandfall({ dataDir: open.dataDir, downloads: 'off' }, byHeader)) };
    const here = url + new URL(address).pathname;
    expect(await statusOf(here, { headers: ANNA })).toBe(403);
    expect(await statusOf(url + signed)).toBe(403);
    expect(await readRecord(here, ANNA)).toMatchObject({ state: 'accepted', url: null });
    await expect(landfall.downloadUrl(id)).rejects.toMatchObject({ code: 'ERR_ACTION_NOT_ALLOWED' });
  });
});

describe('a signed address', () => {
  it('answers ranges and HEAD, and stays valid in another process and after a restart', async () => {
    const { id, landfall, url, dataDir, close } = await withFile();
    const signed = await landfall.downloadUrl(id, { expires: new Date(Date.now() + 60_000) });
    const part = await fetch(url + signed, { headers: { Range: 'bytes=2-4' } });
    expect([part.status, await part.text()]).toEqual([206, 'few']);
    const head = await fetch(url + signed, { method: 'HEAD' });
    expect([head.status, head.headers.get('Content-Disposition')]).toEqual([200, expect.stringContaining('a.txt')]);
    await close();
    const again = await embedLandfall({ dataDir }, byHeader);
    expect(await statusOf(again.url + signed)).toBe(200);
  });

  it('is valid for one file, until its expiry, and only to download', async () => {
    const { files, id, landfall, url } = await withFile();
    const other = await createUpload(files, { length: TEXT.length, name: 'b.txt', body: TEXT, headers: ANNA });
    const signed = await landfall.downloadUrl(id);
    const parameters = new URLSearchParams(signed.split('?')[1]);
    const [expires = '', signature = ''] = [parameters.get('expires'), parameters.get('signature')].map(String);
    const at = (query: string, of = id) => statusOf(`${url}/files/${of}?${query}`, { headers: ANNA });
    expect(await at(`expires=${expires}&signature=${signature}`)).toBe(200);
    // Each part is changed, left out, given twice, or from another file: the server never falls back to the permitted sender's
    // own credentials.
    const wrong = [
      `expires=${Number(expires) + 1}&signature=${signature}`,
      `expires=${expires}`,
      `signature=${signature}`,
      `expires=&signature=${signature}`,
      `expires=${expires}&signature=`,
      `expires=${expires}&signature=${signature.slice(1)}`,
      `expires=${expires}&signature=${signature}A`,
      `expires=1&expires=${expires}&signature=${signature}`,
      `expires=${expires}.0&signature=${signature}`,
      `expires=%20${expires}&signature=${signature}`,
    ];
    for (const query of wrong) expect(await at(query), query).toBe(403);
    expect(await at(`expires=${expires}&signature=${signature}`, idOf(other.url))).toBe(403);
    expect(await at(`expires=${expires}&signature=${signature}`, '0'.repeat(32))).toBe(403);
    for (const method of ['PATCH', 'DELETE', 'HEAD']) expect((await tusRequest(method, url + signed, ANNA)).status, method).toBe(404);
    expect(await statusOf(url + signed.replace('?', '/status?'))).toBe(401);
  });

  it('expires', async () => {
    const { id, landfall, url } = await withFile();
    const ended = await fetch(url + (await landfall.downloadUrl(id, { expires: new Date(Date.now() - 1000) })));
    expect([ended.status, await ended.json()]).toEqual([403, expect.objectContaining({ code: 'ERR_ADDRESS_EXPIRED' })]);
  });

  it('is made only for accepted files', async () => {
    const { files, landfall } = await withFile();
    const unfinished = await createUpload(files, { length: 10, name: 'b.txt', headers: ANNA });
    await expect(landfall.downloadUrl(idOf(unfinished.url))).rejects.toMatchObject({ code: 'ERR_UPLOAD_NOT_FOUND' });
    await expect(landfall.downloadUrl('../x')).rejects.toBeInstanceOf(UploadError);
    await expect(landfall.downloadUrl('0'.repeat(32), { expires: Number.NaN })).rejects.toBeInstanceOf(TypeError);
  });

  it('is absolute, and below the mount path, like addresses of records', async () => {
    const named = await withFile({ publicUrl: 'https://uploads.example/a' });
    expect(await named.landfall.downloadUrl(named.id)).toMatch(
      /^https:\/\/uploads\.example\/a\/files\/[0-9a-f]{32}\?expires=\d+&signature=[\w-]{43}$/,
    );
    const mounted = await withFile({}, { ...byHeader, mountPath: '/uploads' });
    expect(await mounted.landfall.downloadUrl(mounted.id)).toMatch(/^\/uploads\/files\//);
  });
});

describe('the address in a record', () => {
  it('is plain when the server knows the sender without an extra header', async () => {
    const { address, url } = await withFile();
    expect((await readRecord(address, ANNA)).url).toBe(new URL(address).pathname);
    expect(url).toBeTruthy();
  });

  it('is missing when the sender may not download', async () => {
    const server = await embedLandfall({}, { authenticate: () => ({ owner: 'anna', limits: { actions: ['create'] } }) });
    const { url } = await createUpload(server.files, { length: TEXT.length, name: 'a.txt', body: TEXT });
    expect(await readRecord(url)).toMatchObject({ state: 'accepted', url: null });
    expect(await statusOf(url)).toBe(403);
    const form = new FormData();
    form.append('file', new Blob([TEXT]), 'b.txt');
    const sent = await fetch(`${server.url}/upload`, { method: 'POST', body: form });
    expect([sent.status, await sent.json()]).toEqual([201, expect.objectContaining({ record: expect.objectContaining({ url: null }) })]);
    const page = await fetch(`${server.url}/upload`, { method: 'POST', body: form, headers: { Accept: 'text/html' } });
    expect(await page.text()).not.toContain('/files/');
  });

  it('is signed when the server knows the sender by a token', async () => {
    const server = await embedLandfall();
    const { token } = await giveLink(server.dataDir, { limits: { actions: ['create', 'download'] } });
    const headers = { Authorization: `Bearer ${token}` };
    const { url } = await createUpload(server.files, { length: TEXT.length, name: 'a.txt', body: TEXT, headers });
    const { url: told } = await readRecord(url, headers);
    expect(told).toContain('?expires=');
    expect(await (await fetch(server.url + told)).text()).toBe(TEXT.toString());
    expect(await statusOf(url)).toBe(404);
  });
});
