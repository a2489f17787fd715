// Each limit of an identity and of an owner, for direct uploads.
import { describe, expect, inject, it } from 'vitest';
import type { ConfigInput, Limits } from '../../server/index.ts';
import { openSqlite } from '../../server/ledger/sqlite.ts';
import { countedFromRows, counters } from '../contract/quotas.ts';
import { videoBytes } from '../support/content.ts';
import { embedLandfallOnS3, JSON_TYPE, MIB } from '../support/s3-landfall.ts';

interface Answer {
  status: number;
  headers: Headers;
  body: { id: string; code?: string; state?: string; originalName?: string; parts: { url: string }[] };
}

async function ask(url: string, wanted: object = {}): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(wanted) });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] };
}

/** @param limits of the owner anna, whom every request is; the test may change them */
async function embed(limits: Limits, config: ConfigInput = {}) {
  const given = { limits };
  const server = await embedLandfallOnS3(undefined, config, { authenticate: () => ({ owner: 'anna', limits: given.limits }) });
  const door = `${server.url}/get-upload-url`;
  return {
    ...server,
    given,
    create: (length: number, name = 'film.mp4') => ask(door, { name, length }),
    async send(length: number, name = 'film.mp4'): Promise<Answer> {
      const created = await ask(door, { name, length });
      if (created.status !== 201) return created;
      const sent = await fetch(created.body.parts[0]?.url ?? '', { method: 'PUT', body: await videoBytes(length) });
      expect(sent.status).toBe(200);
      return ask(`${door}/${created.body.id}`);
    },
  };
}

describe.skipIf(inject('s3HeaderGuard') === null)('a direct upload', () => {
  it('is held to each limit of its identity', async () => {
    const server = await embed({ maxUploadBytes: MIB });
    expect(await server.create(MIB + 1)).toMatchObject({ status: 413, body: { code: 'ERR_MAX_SIZE_EXCEEDED' } });
    server.given.limits = { allow: '.txt' };
    expect(await server.create(MIB)).toMatchObject({ status: 422, body: { code: 'ERR_TYPE_NOT_ALLOWED' } });
    server.given.limits = { maxUploads: 1, metadata: { filename: 'fixed.mp4' } };
    expect(await server.send(MIB)).toMatchObject({ status: 200, body: { state: 'accepted', originalName: 'fixed.mp4' } });
    expect(await server.create(1)).toMatchObject({ status: 403, body: { code: 'ERR_ACCESS_USED_UP' } });
    server.given.limits = { maxBytes: 2 * MIB };
    expect(await server.create(MIB + 1)).toMatchObject({ status: 413, body: { code: 'ERR_QUOTA_EXCEEDED' } });
    expect(await server.send(MIB)).toMatchObject({ status: 200, body: { state: 'accepted' } });
    expect(await server.create(1)).toMatchObject({ status: 413, body: { code: 'ERR_QUOTA_EXCEEDED' } });
    server.given.limits = { actions: ['download'] };
    expect(await server.create(1)).toMatchObject({ status: 403, body: { code: 'ERR_ACTION_NOT_ALLOWED' } });
    await server.expectNothingStaged();
    const engine = await openSqlite(server.dataDir, { exclusive: false });
    expect(await counters(engine)).toEqual(await countedFromRows(engine));
    await engine.close();
  });

  it('is held to the limits of its owner', async () => {
    const server = await embed({}, { ownerMaxUploads: 1, ownerMaxReserved: 2 * MIB, ownerMaxStored: 3 * MIB, ownerMaxRate: 6 });
    expect(await server.create(2 * MIB + 1)).toMatchObject({ status: 413, body: { code: 'ERR_QUOTA_EXCEEDED' } });
    expect(await server.send(2 * MIB)).toMatchObject({ status: 200, body: { state: 'accepted' } });
    expect(await server.create(MIB + 1)).toMatchObject({ status: 413, body: { code: 'ERR_QUOTA_EXCEEDED' } });
    expect(await server.create(MIB)).toMatchObject({ status: 201 });
    for (let n = 0; n < 2; n++) {
      const busy = await server.create(1);
      expect(busy).toMatchObject({ status: 429, body: { code: 'ERR_TOO_MANY_UPLOADS' } });
      expect(busy.headers.get('RateLimit-Policy')).toBeNull();
    }
    const fast = await server.create(1);
    expect(fast).toMatchObject({ status: 429, body: { code: 'ERR_TOO_MANY_UPLOADS' } });
    expect(fast.headers.get('RateLimit-Policy')).toBe('"creations";q=6;w=60');
  });
});
