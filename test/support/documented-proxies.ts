// The reverse proxies of docs/operations.md, with their documented configuration adapted to run here: on a port of this machine, with
// a certificate of their own, in front of a given server.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { programPath } from './needs.ts';
import { REPOSITORY } from './repository.ts';

export interface DocumentedProxy {
  name: 'nginx' | 'HAProxy' | 'Caddy';
  program: string;
  /** The command that checks its configuration and ends. */
  check(path: string): string[];
  /** The command that serves until it is ended. */
  serve(path: string): string[];
  /** Writes its configuration into the directory. */
  configure(wanted: ProxySettings): string;
}

export interface ProxySettings {
  directory: string;
  port: number;
  /** Port of Landfall. */
  upstream: number;
}

export const DOCUMENTED_PROXIES: readonly DocumentedProxy[] = [
  {
    name: 'nginx',
    program: 'nginx',
    check: (path) => ['-t', '-c', path],
    serve: (path) => ['-c', path, '-g', 'daemon off;'],
    configure({ directory, port, upstream }) {
      const { certificate, key } = writeCertificate(directory);
      const block = replaced(documented('nginx'), [
        [/listen 443 ssl http2;.*/, `listen 127.0.0.1:${port} ssl http2;`],
        ['/etc/ssl/files.example.pem', certificate],
        ['/etc/ssl/files.example.key', key],
        ['127.0.0.1:1080', `127.0.0.1:${upstream}`],
      ]);
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${directory}/${what};`);
      // Its worker would otherwise change to a user who may not write here.
      const user = process.getuid?.() === 0 ? `user ${userInfo().username};\n` : '';
      const whole = `${user}pid ${directory}/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n${temporary.join('\n')}\n${block}}\n`;
      return written(directory, 'nginx.conf', whole);
    },
  },
  {
    name: 'HAProxy',
    program: 'haproxy',
    check: (path) => ['-c', '-f', path],
    serve: (path) => ['-db', '-f', path],
    configure({ directory, port, upstream }) {
      const block = replaced(documented('haproxy'), [
        ['bind :443', `bind 127.0.0.1:${port}`],
        ['/etc/ssl/files.example.pem', writeCertificate(directory).both],
        ['127.0.0.1:1080', `127.0.0.1:${upstream}`],
      ]);
      return written(directory, 'haproxy.cfg', block);
    },
  },
  {
    name: 'Caddy',
    program: 'caddy',
    check: (path) => ['validate', '--adapter', 'caddyfile', '--config', path],
    serve: (path) => ['run', '--adapter', 'caddyfile', '--config', path],
    configure({ directory, port, upstream }) {
      const { certificate, key } = writeCertificate(directory);
      const block = replaced(documented('caddy'), [
        ['files.example {', `https://127.0.0.1:${port} {\n\ttls ${certificate} ${key}`],
        ['127.0.0.1:1080', `127.0.0.1:${upstream}`],
      ]);
      const own = `{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system ${directory}/caddy\n}\n`;
      return written(directory, 'Caddyfile', own + block);
    },
  },
];

/** The path of its program. */
export function pathOf({ program }: DocumentedProxy): string | undefined {
  return process.env[`${program.toUpperCase()}_BIN`] || programPath(program);
}

/** The first block of this language. */
function documented(language: string): string {
  const page = readFileSync(join(REPOSITORY, 'docs/operations.md'), 'utf8');
  const [, block] = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(page) ?? [];
  if (block === undefined) throw new Error(`docs/operations.md has no block of ${language}.`);
  return block;
}

/** @throws Error when the block does not contain the text to replace: then the page has changed */
function replaced(block: string, pairs: readonly (readonly [string | RegExp, string])[]): string {
  return pairs.reduce((text, [old, fresh]) => {
    const changed = text.replace(old, fresh);
    if (changed === text) throw new Error(`The block in docs/operations.md does not contain ${old}.`);
    return changed;
  }, block);
}

function written(directory: string, name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

function writeCertificate(directory: string): { certificate: string; key: string; both: string } {
  const [certificate, key, both] = [join(directory, 'certificate.pem'), join(directory, 'key.pem'), join(directory, 'both.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    certificate,
    ...subject,
  ]);
  if (made.status !== 0) throw new Error(`openssl made no certificate: ${made.error ?? made.stderr}`);
  writeFileSync(both, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'));
  return { certificate, key, both };
}
