// A real S3 endpoint: Ceph's gateway with a monitor and one storage daemon, on loopback, from Debian's packages. It runs as root or as
// the owner of the directory; its data is removed with it.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { programPath } from './needs.ts';

export interface S3Endpoint {
  endpoint: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
}

/** The storage daemon bypasses the system's cache, which a file system in memory may not allow. */
const ROOT = '/var/tmp';
const START_LIMIT_MS = 300_000;
const STOP_LIMIT_MS = 10_000;

const running = new Set<S3Server>();
process.on('exit', () => {
  for (const server of running) server.killAll();
});

/**
 * A server outside the tests that they use instead: `LANDFALL_TEST_S3_ENDPOINT`, with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
 * `AWS_REGION` (us-east-1). The tests create a bucket on it and remove it at the end.
 */
export function outsideS3(): S3Endpoint | undefined {
  const { LANDFALL_TEST_S3_ENDPOINT: endpoint, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION } = process.env;
  if (!endpoint) return undefined;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) {
    throw new Error('With LANDFALL_TEST_S3_ENDPOINT, AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set.');
  }
  return { endpoint, region: AWS_REGION || 'us-east-1', accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY };
}

/** Resolves when it answers, after about 8 s. @throws with the end of the logs when it does not start */
export async function startS3Server(): Promise<S3Server> {
  const server = new S3Server(await freePort(), await freePort());
  running.add(server);
  try {
    await server.start();
  } catch (error) {
    const log = server.lastWords();
    await server.stop();
    throw new Error(`Ceph did not start.\n${log}`, { cause: error });
  }
  return server;
}

export class S3Server implements S3Endpoint {
  readonly endpoint: string;
  readonly region = 'us-east-1';
  readonly accessKeyId: string = randomBytes(10).toString('hex').toUpperCase();
  readonly secretAccessKey: string = randomBytes(20).toString('hex');
  readonly #directory = mkdtempSync(join(ROOT, 'landfall-s3-'));
  readonly #configuration = join(this.#directory, 'ceph.conf');
  readonly #fsid = randomUUID();
  readonly #osd = randomUUID();
  readonly #port: number;
  readonly #monitorPort: number;
  readonly #daemons: ChildProcess[] = [];

  constructor(port: number, monitorPort: number) {
    this.#port = port;
    this.#monitorPort = monitorPort;
    this.endpoint = `http://127.0.0.1:${port}`;
  }

  async start(): Promise<void> {
    for (const name of ['mon', 'osd', 'rgw', 'run', 'log']) mkdirSync(join(this.#directory, name));
    writeFileSync(this.#configuration, this.#settings());
    const map = join(this.#directory, 'monmap');
    await this.#run('monmaptool', '--create', '--fsid', this.#fsid, '--addv', 'a', `[v2:127.0.0.1:${this.#monitorPort}]`, map);
    await this.#run('ceph-mon', '--mkfs', '-i', 'a', '-c', this.#configuration, '--monmap', map);
    this.#launch('ceph-mon', '-f', '-i', 'a');
    await this.#run('ceph', '-c', this.#configuration, '--connect-timeout', '60', 'osd', 'new', this.#osd);
    await this.#run('ceph-osd', '--mkfs', '-i', '0', '-c', this.#configuration);
    this.#launch('ceph-osd', '-f', '-i', '0');
    const keys = ['--access-key', this.accessKeyId, '--secret-key', this.secretAccessKey];
    const user = ['--uid', 'test', '--display-name', 'test', '--max-buckets', '0', ...keys];
    await this.#run('radosgw-admin', '-c', this.#configuration, '--name', 'client.rgw', 'user', 'create', ...user);
    this.#launch('radosgw', '-f', '--name', 'client.rgw');
    const deadline = performance.now() + START_LIMIT_MS;
    while (!(await this.#answers())) {
      const ended = this.#daemons.find(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
      if (ended) throw new Error(`${ended.spawnargs.join(' ')} ended by itself.`);
      if (performance.now() > deadline) throw new Error('The gateway does not answer.');
      await sleep(50);
    }
  }

  async stop(): Promise<void> {
    for (const daemon of [...this.#daemons].reverse()) {
      if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
      const ended = once(daemon, 'exit');
      // Its data is not needed again, and the gateway is slow to react to SIGTERM.
      daemon.kill('SIGKILL');
      await Promise.race([ended, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
    }
    running.delete(this);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  killAll(): void {
    for (const daemon of this.#daemons) daemon.kill('SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  }

  lastWords(): string {
    return ['setup', 'ceph-mon', 'ceph-osd', 'radosgw']
      .map((name) => {
        try {
          return `${name}: ${readFileSync(join(this.#directory, 'log', `${name}.out`), 'utf8').slice(-1000)}`;
        } catch {
          return `${name}: nothing`;
        }
      })
      .join('\n');
  }

  /** In the order of their dependencies. Each ends with this process, however this process ends. */
  #launch(program: string, ...parameters: string[]): void {
    const log = openSync(join(this.#directory, 'log', `${program}.out`), 'a');
    const command = [pathOf(program), ...parameters, '-c', this.#configuration];
    const daemon = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
      // Debian's Ceph 18 looks for its object classes in lib/…, relative to the working directory.
      cwd: '/',
      stdio: ['ignore', log, log],
      env: { ...process.env, LC_ALL: 'C' },
    });
    this.#daemons.push(daemon);
  }

  async #run(program: string, ...parameters: string[]): Promise<void> {
    const log = join(this.#directory, 'log', 'setup.out');
    const options = { timeout: START_LIMIT_MS, env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 1e7 };
    try {
      await promisify(execFile)(pathOf(program), parameters, options);
    } catch (error) {
      writeFileSync(log, String(error), { flag: 'a' });
      throw error;
    }
  }

  /** An unsigned GET is answered once the gateway has read its own settings from the storage daemon. */
  async #answers(): Promise<boolean> {
    try {
      const response = await fetch(this.endpoint, { signal: AbortSignal.timeout(5000) });
      await response.arrayBuffer();
      return response.status === 200 || response.status === 403;
    } catch {
      return false;
    }
  }

  #settings(): string {
    const directory = this.#directory;
    return `[global]
fsid = ${this.#fsid}
mon_host = [v2:127.0.0.1:${this.#monitorPort}]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
ms_bind_msgr1 = false
ms_bind_port_min = 20000
ms_bind_port_max = 32000
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
run_dir = ${directory}/run
admin_socket =
crash_dir = ${directory}/run
log_file = ${directory}/log/$name.log
mon_cluster_log_file = ${directory}/log/cluster.log
debug_ms = 0/0
debug_mon = 0/0
debug_paxos = 0/0
debug_osd = 0/0
debug_bluestore = 0/0
debug_rocksdb = 0/0
debug_rgw = 0/0
# One copy of everything, on one daemon.
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 2
mon_data_avail_crit = 1
[mon]
mon_data = ${directory}/mon
# Nobody else votes: a much quicker start.
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
[osd]
osd_data = ${directory}/osd
osd_uuid = ${this.#osd}
osd_objectstore = bluestore
bluestore_block_path =
bluestore_block_create = true
bluestore_block_size = ${16 * 1024 ** 3}
bluestore_cache_autotune = false
bluestore_cache_size = 134217728
osd_crush_initial_weight = 1
# Without the mclock scheduler no disk is measured at the start.
osd_op_queue = wpq
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:${this.#port} tcp_nodelay=1
rgw_data = ${directory}/rgw
rgw_enable_apis = s3
rgw_dns_name = localhost
rgw_thread_pool_size = 64
# Space of deleted objects comes back in seconds.
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 15
rgw_gc_processor_max_time = 15
`;
  }
}

function pathOf(program: string): string {
  const path = programPath(program);
  if (path === undefined) throw new Error(`There is no ${program}: install the packages ceph-mon, ceph-osd and radosgw.`);
  return path;
}
