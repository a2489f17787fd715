// A release of @tus/server with different internals is refused at the start, or at its first request: Landfall never works with
// it wrongly.
import { createServer } from 'node:http';
import { FileStore } from '@tus/file-store';
import type * as TusServer from '@tus/server';
import { MemoryLocker } from '@tus/server';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { listenForTest } from '../support/listen.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { patchUpload } from '../support/tus-requests.ts';

type Handler = { send?: unknown; writeToStore?: unknown };

/** The seam to a library whose handlers were changed like this. */
async function seamWith(change: (handlers: Record<string, Handler>) => void) {
  vi.resetModules();
  vi.doMock('@tus/server', async (original) => {
    const actual = await original<typeof TusServer>();
    return {
      ...actual,
      Server: class extends actual.Server {
        constructor(options: ConstructorParameters<typeof actual.Server>[0]) {
          super(options);
          change(this.handlers as unknown as Record<string, Handler>);
        }
      },
    };
  });
  const { StockServer } = await import('../../server/tus/stock-server.ts');
  return new StockServer<null>(
    { path: '/files', locker: new MemoryLocker(), datastore: new FileStore({ directory: testDirectory() }) },
    { receive: async () => 0 },
  );
}

afterEach(() => void vi.doUnmock('@tus/server'));

describe('the seam to @tus/server', () => {
  it('accepts the installed release', async () => {
    await expect(seamWith(() => undefined)).resolves.toBeDefined();
  });

  it.for([
    { what: 'is gone', writeToStore: undefined },
    { what: 'has other parameters', writeToStore: (_body: unknown, _upload: unknown) => 0 },
  ])('fails at the start when the function that writes a body $what', async ({ writeToStore }) => {
    for (const method of ['PATCH', 'POST']) {
      const changed = seamWith((handlers) => Object.assign(handlers[method] ?? {}, { writeToStore }));
      await expect(changed).rejects.toThrow(/@tus\/server has changed inside/);
    }
  });

  it('fails at the start when a handler is missing', async () => {
    await expect(seamWith((handlers) => void delete handlers.PATCH)).rejects.toThrow(/@tus\/server has changed inside/);
  });

  it('fails the request when the body was converted on its way', async () => {
    const seam = await seamWith(({ PATCH }) => {
      if (PATCH)
        PATCH.send = function send(this: { writeToStore(...of: unknown[]): Promise<number> }) {
          return this.writeToStore(new ReadableStream(), {}, 5, {});
        };
    });
    const thrown: unknown[] = [];
    const server = createServer((request, response) => {
      seam.handle(request, 'PATCH', 'x', null).catch((error) => {
        thrown.push(error);
        response.writeHead(500).end();
      });
    });
    const url = `${await listenForTest(server)}/files`;
    expect((await patchUpload(url, 0, 'hello')).status).toBe(500);
    expect(String(thrown[0])).toMatch(/no longer hands the body through/);
  });
});
