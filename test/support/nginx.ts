// nginx as a reverse proxy in front of a server under test, with a configuration in a temporary directory.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';
import { programPath } from './needs.ts';
import { testDirectory } from './temp-dir.ts';

export interface NginxOptions {
  /** `http://127.0.0.1:1080`; with several, each request goes to the next one, as in docs/operations.md. */
  upstream: string | readonly string[];
  /** Whether nginx reads a whole body before it asks the server, which is its default. */
  requestBuffering: boolean;
  /** Largest body; nginx's default is 1m. */
  maxBody?: string;
}

/** Runs until the test ends. Resolves to its address. */
export function startNginx({ upstream, requestBuffering, maxBody = '0' }: NginxOptions): Promise<string> {
  const onOff = requestBuffering ? 'on' : 'off';
  const many = typeof upstream === 'string' ? undefined : upstream.map((url) => `server ${new URL(url).host} max_fails=0;`).join(' ');
  // Requests that nginx itself would answer with 502 are repeated: on HEAD, stock clients take a 5xx for a lost upload.
  const later = `error_page 502 504 = @later;
    location @later {
      add_header Tus-Resumable 1.0.0 always;
      add_header Retry-After 1 always;
      return 423;
    }`;
  return runNginx(
    () => `client_max_body_size ${maxBody};
    ${many === undefined ? '' : later}
    location / {
      proxy_pass ${many === undefined ? upstream : 'http://landfall'};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_request_buffering ${onOff};
    }`,
    many === undefined ? '' : `upstream landfall { ${many} }`,
  );
}

/**
 * Runs until the test ends. Resolves to its address.
 * @param server the content of its `server` block, with the directory that it may read
 * @param http what comes beside that block
 */
export async function runNginx(server: (directory: string) => string, http = ''): Promise<string> {
  const binary = programPath('nginx');
  if (binary === undefined) throw new Error('There is no nginx: install the package nginx-light.');
  const directory = testDirectory();
  const port = await freePort();
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(directory, name));
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off;
master_process off;
worker_processes 1;
pid ${directory}/pid;
error_log ${directory}/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  ${http}
  server {
    listen 127.0.0.1:${port};
    ${server(directory)}
  }
}
`,
  );
  const child = spawn(binary, ['-p', directory, '-c', join(directory, 'nginx.conf')], { stdio: 'ignore' });
  onTestFinished(async () => {
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
  const ended = once(child, 'exit').then(() => {
    throw new Error('nginx ended before it listened.');
  });
  ended.catch(() => {});
  await Promise.race([waitForPort(port), ended]);
  return `http://127.0.0.1:${port}`;
}

async function waitForPort(port: number): Promise<void> {
  for (let attempt = 0; attempt < 2400; attempt++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await sleep(50);
  }
  throw new Error('nginx did not listen.');
}
