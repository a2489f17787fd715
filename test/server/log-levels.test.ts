// An entry that the log calls an error wakes an operator, so it must be one.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Check, ConfigInput } from '../../server/index.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { openSocket, patchHead } from '../support/raw-http.ts';
import { createUpload, headUpload, patchUpload } from '../support/tus-requests.ts';

async function withLog(config: ConfigInput = {}, checks: Check[] = []) {
  const lines: { level: number; msg: string; err?: unknown }[] = [];
  const logger = pino({ level: 'trace' }, { write: (text: string) => void lines.push(JSON.parse(text)) });
  const server = await embedLandfall(config, { logger, checks });
  return { ...server, faults: () => lines.filter(({ level }) => level >= 40) };
}

describe('the server logs no warning and no error', () => {
  it('for a request while it drains', async () => {
    const server = await withLog();
    const { url } = await createUpload(server.files, { length: 10, name: 'a.txt' });
    await server.landfall.close();
    expect(await patchUpload(url, 0, Buffer.from('0123456789'))).toMatchObject({ status: 503, code: 'ERR_SHUTTING_DOWN' });
    expect(await headUpload(url)).toMatchObject({ status: 423 });
    expect(server.faults()).toEqual([]);
  });

  it('for a sender that leaves in the middle of a body', async () => {
    const server = await withLog();
    const { url } = await createUpload(server.files, { length: 1000, name: 'a.txt' });
    const socket = await openSocket(server.url);
    socket.write(patchHead(url, 0, 1000));
    socket.write('x'.repeat(500));
    await expect.poll(async () => (await headUpload(url)).offset).toBe(500);
    socket.destroy();
    const form = await openSocket(server.url);
    form.write(
      'POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n--x\r\n',
    );
    await sleep(100);
    form.destroy();
    await once(form, 'close');
    await sleep(500);
    expect(server.faults()).toEqual([]);
  });

  it('for a verdict that takes longer than a request waits', async () => {
    const slow: Check = { name: 'slow', run: async () => void (await sleep(2000)) };
    const server = await withLog({ patience: 100 }, [slow]);
    const { url } = await createUpload(server.files, { length: 10, name: 'a.txt' });
    expect(await patchUpload(url, 0, Buffer.from('0123456789'))).toMatchObject({ status: 503, code: 'ERR_INSPECTION_PENDING' });
    expect(server.faults()).toEqual([]);
  });
});
