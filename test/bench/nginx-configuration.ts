import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';

/** Configures nginx to store PUT bodies: one worker, which writes the body beside its target and renames it. Returns the file's path. */
export function writeNginxConfiguration(directory: string, port: number): string {
  mkdirSync(join(directory, 'uploads', 'files'), { recursive: true });
  const path = join(directory, 'nginx.conf');
  // nginx's worker would otherwise switch to a user without write access here.
  const user = process.getuid?.() === 0 ? `user ${userInfo().username};` : '';
  writeFileSync(
    path,
    `daemon off;
${user}
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/log;
events { worker_connections 1024; }
http {
  access_log off;
  client_max_body_size 0;
  client_body_temp_path ${directory}/staging;
  proxy_temp_path ${directory}/unused;
  fastcgi_temp_path ${directory}/unused;
  uwsgi_temp_path ${directory}/unused;
  scgi_temp_path ${directory}/unused;
  keepalive_requests 1000000;
  server {
    listen 127.0.0.1:${port};
    root ${directory}/uploads;
    location / { dav_methods PUT; }
  }
}
`,
  );
  return path;
}
