// Events that a whole server reports to an application: by webhook, by a function, and to readers.
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import type { UploadEvent } from '../../server/index.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';
import { startReceiver } from '../support/webhook-receiver.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const OTHER_SECRET = `whsec_${Buffer.alloc(24, 2).toString('base64')}`;
const TEXT = Buffer.from('some text');

function sendText(files: string, name = 'notes.txt', headers: Record<string, string> = {}) {
  return createUpload(files, { length: TEXT.length, name, body: TEXT, metadata: { project: 'Küste', filetype: 'text/plain' }, headers });
}

/** The types of the events of one upload. */
function typesOf(events: readonly Pick<UploadEvent, 'type' | 'data'>[], url: string): string[] {
  return events.filter(({ data }) => data.id === idOf(url)).map(({ type }) => type);
}

describe('a webhook', () => {
  it('receives each event, with the upload as the application sees it', async () => {
    const receiver = await startReceiver();
    const server = await embedLandfall({ webhookUrl: receiver.url, webhookSecret: SECRET }, { authenticate: () => 'anna' });
    const accepted = await sendText(server.files);
    expect((await sendText(server.files, 'photo.png')).status).toBe(422);
    const { url } = await createUpload(server.files, { length: 100, name: 'later.txt' });
    await terminateUpload(url);
    await expect.poll(() => receiver.taken.length).toBe(6);
    expect(typesOf(receiver.taken, accepted.url)).toEqual(['upload.created', 'upload.accepted']);
    const refused = receiver.taken.filter(({ data }) => data.originalName === 'photo.png');
    expect(refused.map(({ type }) => type)).toEqual(['upload.created', 'upload.rejected']);
    expect(typesOf(receiver.taken, url)).toEqual(['upload.created', 'upload.terminated']);
    const [created, arrived] = receiver.taken.filter(({ data }) => data.id === idOf(accepted.url));
    const record = await readRecord(accepted.url);
    expect(arrived).toEqual({
      id: expect.stringMatching(/^evt_[0-9a-f]{32}$/),
      type: 'upload.accepted',
      timestamp: record.updatedAt,
      sequence: 2,
      data: {
        ...record,
        url: `/files/${record.id}`,
        owner: 'anna',
        metadata: { filename: 'notes.txt', project: 'Küste', filetype: 'text/plain' },
        claimedType: 'text/plain',
        place: { path: expect.stringMatching(new RegExp(`^\\d{4}/\\d\\d/\\d\\d/${record.id}/notes\\.txt$`)) },
        attempts: 1,
      },
    });
    expect(created).toMatchObject({ sequence: 1, data: { state: 'receiving', offset: 0, place: null, attempts: 0 } });
    expect(refused[1]?.data).toMatchObject({
      state: 'rejected',
      error: { code: 'ERR_TYPE_MISMATCH' },
      place: null,
    });
    // The sender's record has no additional fields.
    expect(Object.keys(record)).not.toContain('owner');
  });

  it('is signed with each secret, as the specification’s library verifies, and with a private key', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
    for (const secrets of [
      [SECRET, OTHER_SECRET],
      [SECRET, `whsk_${seed.toString('base64')}`],
    ]) {
      const receiver = await startReceiver();
      const server = await embedLandfall({ webhookUrl: receiver.url, webhookSecret: secrets });
      await sendText(server.files);
      await expect.poll(() => receiver.taken.length).toBe(2);
      for (const { headers, body, event } of receiver.received) {
        const given = headers as Record<string, string>;
        expect(given['content-type']).toBe('application/json');
        for (const secret of secrets.filter((text) => text.startsWith('whsec_')))
          expect(new Webhook(secret).verify(body, given)).toEqual(event);
        expect(() => new Webhook(SECRET).verify(`${body} `, given)).toThrow();
        const signed = /v1a,(\S+)/.exec(given['webhook-signature'] ?? '')?.[1];
        if (secrets.some((text) => text.startsWith('whsk_'))) {
          const content = Buffer.from(`${given['webhook-id']}.${given['webhook-timestamp']}.${body}`);
          expect(
            verify(null, content, createPublicKey(publicKey.export({ format: 'pem', type: 'spki' })), Buffer.from(signed ?? '', 'base64')),
          ).toBe(true);
        } else expect(signed).toBeUndefined();
      }
    }
  });

  it('that answers 410 is named by the health endpoint, and the server keeps accepting uploads', async () => {
    const receiver = await startReceiver(() => 410);
    const server = await embedLandfall({ webhookUrl: receiver.url, webhookSecret: SECRET });
    const health = async () => {
      const response = await fetch(`${server.url}/health/ready`);
      return [response.status, await response.json()];
    };
    expect(await health()).toEqual([200, { status: 'ready' }]);
    await sendText(server.files);
    await expect.poll(health).toEqual([200, { status: 'ready', webhook: 'stopped: the receiver answered 410' }]);
    expect((await sendText(server.files)).status).toBe(201);
  });
});

describe('an event function of the application', () => {
  it('is called again until it resolves, and after a restart for the events that are left', async () => {
    const told: UploadEvent[] = [];
    let attempts = 0;
    const dataDir = testDirectory();
    const first = await embedLandfall(
      { dataDir },
      {
        onEvent: async (event) => {
          attempts += 1;
          if (attempts === 1) throw new Error('not yet');
          if (event.type === 'upload.accepted') await new Promise(() => {});
          told.push(event);
        },
      },
    );
    const { url } = await sendText(first.files);
    await expect.poll(() => told.map(({ type }) => type)).toEqual(['upload.created']);
    await expect.poll(() => attempts).toBe(3);
    await first.close();
    const later: UploadEvent[] = [];
    const second = await embedLandfall({ dataDir }, { onEvent: (event) => void later.push(event) });
    await expect.poll(() => typesOf(later, url)).toEqual(['upload.accepted']);
    const next = await sendText(second.files);
    await expect.poll(() => typesOf(later, next.url)).toEqual(['upload.created', 'upload.accepted']);
    const positions = [...told, ...later].map(({ position }) => position);
    expect(positions).toEqual([1, 2, 3, 4]);
  });

  it('gets no event from before the function existed', async () => {
    const dataDir = testDirectory();
    const first = await embedLandfall({ dataDir });
    await sendText(first.files);
    await first.close();
    const told: UploadEvent[] = [];
    const second = await embedLandfall({ dataDir }, { onEvent: (event) => void told.push(event) });
    const { url } = await sendText(second.files);
    await expect.poll(() => told.length).toBe(2);
    expect(typesOf(told, url)).toHaveLength(2);
  });

  it('gets a signal that aborts when the server shuts down', async () => {
    const begun = Promise.withResolvers<AbortSignal>();
    const server = await embedLandfall(
      {},
      {
        onEvent: async (_event, { signal }) => {
          begun.resolve(signal);
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        },
      },
    );
    await sendText(server.files);
    const signal = await begun.promise;
    expect(signal.aborted).toBe(false);
    await server.close();
    expect(signal.aborted).toBe(true);
  });
});

describe('events to read', () => {
  it('are all that are kept, and then each new one, from any reader’s position', async () => {
    const server = await embedLandfall();
    const stop = new AbortController();
    const first = await sendText(server.files);
    const heard: UploadEvent[] = [];
    const reading = (async () => {
      for await (const event of server.landfall.events({ signal: stop.signal })) heard.push(event);
    })();
    await expect.poll(() => typesOf(heard, first.url)).toEqual(['upload.created', 'upload.accepted']);
    const second = await createUpload(server.files, { length: 9, name: 'b.txt' });
    await expect.poll(() => typesOf(heard, second.url)).toEqual(['upload.created']);
    await patchUpload(second.url, 0, TEXT);
    await expect.poll(() => typesOf(heard, second.url)).toEqual(['upload.created', 'upload.accepted']);
    stop.abort();
    await reading;
    const rest: UploadEvent[] = [];
    for await (const event of server.landfall.events({ after: heard[1]?.position ?? 0 })) {
      rest.push(event);
      if (rest.length === 2) break;
    }
    expect(rest).toEqual(heard.slice(2));
  });

  it('end with the server, and are refused for a position that never existed', async () => {
    const server = await embedLandfall();
    const reading = (async () => {
      for await (const _ of server.landfall.events());
    })();
    for (const after of [5, -1, 0.5]) {
      const unheard = server.landfall.events({ after })[Symbol.asyncIterator]().next();
      await expect(unheard).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
    }
    await server.close();
    await reading;
  });
});
