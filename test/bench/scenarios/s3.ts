// Scenario s3: the time and processor time of a file that reaches S3 through Landfall, against the SDK's own upload.

import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { Bucket } from '../../../server/s3/bucket.ts';
import { formatBytes } from '../../../shared/units.ts';
import { freePort } from '../../support/free-port.ts';
import { programPath, S3_PROGRAMS } from '../../support/needs.ts';
import { REPOSITORY } from '../../support/repository.ts';
import { type S3Endpoint, startS3Server } from '../../support/s3-server.ts';
import { Connection } from '../connection.ts';
import { FILM, pieces } from '../content.ts';
import type { Report } from '../report.ts';
import { landfall } from '../rivals.ts';
import type { Sample } from '../rounds.ts';
import { format, median, medianRatio, withSpread } from '../samples.ts';
import type { Scenario, Settings } from '../scenario.ts';
import { sendByTus } from '../senders.ts';
import { type Command, ServerProcess } from '../server-process.ts';
import { newFolder, removeFolder } from '../work-folders.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const PART_BYTES = 16 * MIB;
const NAME = 'bench';
const SETTLE_MS = 100;

interface Sender {
  name: string;
  command(directory: string, port: number): Command;
  send(port: number, bytes: number): Promise<void>;
}

export const s3: Scenario = {
  name: 's3',
  about: 'one large file to S3, against the SDK’s own upload from a file: throughput and processor seconds',
  devices: ['tmpfs'],
  bytes: ({ size }) => size,
  async run(settings) {
    const missing = S3_PROGRAMS.filter((name) => programPath(name) === undefined);
    if (missing.length > 0) return [empty(`Ceph is not installed: ${missing.join(', ')}`)];
    const server = await startS3Server();
    try {
      return [await run(settings, server)];
    } finally {
      await server.stop();
    }
  },
};

async function run(settings: Settings, endpoint: S3Endpoint): Promise<Report> {
  const { size, rounds } = settings;
  const [device] = settings.devices;
  if (device === undefined) throw new Error('The scenario needs a device.');
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: endpoint.accessKeyId, AWS_SECRET_ACCESS_KEY: endpoint.secretAccessKey });
  const root = newFolder(device);
  const bucket = new Bucket({
    bucket: NAME,
    region: endpoint.region,
    endpoint: endpoint.endpoint,
    publicEndpoint: '',
    prefix: '',
    forcePathStyle: true,
    connections: 8,
    timeoutMs: 60_000,
    checksums: 'required',
  });
  await bucket.signing.send(new CreateBucketCommand({ Bucket: NAME }));
  const file = join(root, 'film.mp4');
  await pipeline(Readable.from(pieces(FILM, 0, size)), createWriteStream(file));
  const samples = new Map<string, Sample[]>();
  const works: { sender: Sender; process: ServerProcess; port: number }[] = [];
  try {
    for (const sender of [ours(endpoint), theirs(endpoint, file)]) {
      const directory = join(root, String(works.length));
      mkdirSync(directory);
      const port = await freePort();
      works.push({ sender, port, process: await ServerProcess.start(sender.command(directory, port), directory, port) });
      samples.set(sender.name, []);
    }
    for (let round = -1; round < rounds; round++) {
      for (let turn = 0; turn < works.length; turn++) {
        const work = works[(Math.max(round, 0) + turn) % works.length];
        if (work === undefined) continue;
        const sample = await measure(work, size);
        if ((await storedBytes(bucket)) < size) throw new Error(`${work.sender.name} stored less than ${size} bytes.`);
        await clear(bucket);
        // The first is a warm-up.
        if (round === -1) continue;
        samples.get(work.sender.name)?.push(sample);
        settings.log(
          `round ${round + 1}, ${work.sender.name}: ${sample.seconds.toFixed(2)} s, ${sample.processorSeconds.toFixed(2)} CPU-s`,
        );
      }
    }
  } finally {
    for (const { process } of works) await process.stop();
    bucket.close();
    removeFolder(root);
  }
  const [our = [], their = []] = [...samples.values()];
  const costs = (of: readonly Sample[]) => of.map((sample) => (sample.processorSeconds * GIB) / size);
  const speeds = (of: readonly Sample[]) => of.map((sample) => size / MIB / sample.seconds);
  return {
    title: `${formatBytes(size)} to S3`,
    how: `${rounds} rounds, Ceph on the same machine. Landfall gets the file by tus in one request, and is measured from the creation to the verdict: it checks the file, publishes it by a copy inside S3, and records it. lib-storage reads it from a file in memory; parts of ${formatBytes(PART_BYTES)} and four at once for both. Processor seconds of the sending process per GiB.`,
    tables: [
      {
        columns: ['', 'MiB/s', 'CPU-s/GiB', 'peak RSS, MiB'],
        rows: [...samples].map(([name, of]) => [
          name,
          withSpread(speeds(of), 0),
          withSpread(costs(of), 2),
          format(median(of.map(({ peakBytes }) => peakBytes / MIB)), 0),
        ]),
      },
    ],
    limits: [
      { what: 'throughput, of lib-storage', measured: medianRatio(speeds(our), speeds(their)), least: 1.2, digits: 2, unit: '×' },
      { what: 'CPU, of lib-storage', measured: medianRatio(costs(our), costs(their)), most: 0.7, digits: 2, unit: '×' },
    ],
    notes: [],
  };
}

async function measure(
  { sender, process, port }: { sender: Sender; process: ServerProcess; port: number },
  bytes: number,
): Promise<Sample> {
  process.forgetPeak();
  const before = process.processorSeconds();
  const startedAt = performance.now();
  await sender.send(port, bytes).catch((error: unknown) => {
    throw new Error(`${sender.name}: ${String(error)} ${process.lastWords()}`);
  });
  const seconds = (performance.now() - startedAt) / 1000;
  await sleep(SETTLE_MS);
  return { seconds, processorSeconds: process.processorSeconds() - before, peakBytes: process.peakBytes() };
}

function ours({ endpoint }: S3Endpoint): Sender {
  const { name, command } = landfall('**Landfall**', {
    LANDFALL_STORAGE_BACKEND: 's3',
    LANDFALL_S3_BUCKET: NAME,
    LANDFALL_S3_ENDPOINT: endpoint,
    LANDFALL_S3_FORCE_PATH_STYLE: 'true',
    LANDFALL_S3_PART_SIZE: String(PART_BYTES),
  });
  return {
    name,
    command,
    async send(port, bytes) {
      const connection = await Connection.open(port);
      await sendByTus(connection, { content: FILM, bytes, chunkBytes: bytes }).finally(() => connection.close());
    },
  };
}

function theirs({ endpoint }: S3Endpoint, file: string): Sender {
  return {
    name: '@aws-sdk/lib-storage',
    command: (directory, port) => ({
      program: process.execPath,
      parameters: [join(REPOSITORY, 'test/bench/servers/lib-storage.ts')],
      environment: {
        BENCH_DIRECTORY: directory,
        BENCH_PORT: String(port),
        BENCH_S3_ENDPOINT: endpoint,
        BENCH_S3_BUCKET: NAME,
        BENCH_S3_PART_SIZE: String(PART_BYTES),
      },
    }),
    async send(port) {
      const connection = await Connection.open(port);
      const answer = await connection
        .request('GET', `/?key=files/film.mp4&path=${encodeURIComponent(file)}`, {})
        .finally(() => connection.close());
      if (answer.status !== 200) throw new Error(answer.body);
    },
  };
}

async function storedBytes(bucket: Bucket): Promise<number> {
  let bytes = 0;
  for await (const { size } of bucket.list('files/')) bytes += size;
  return bytes;
}

async function clear(bucket: Bucket): Promise<void> {
  const keys: string[] = [];
  for await (const { key } of bucket.list('files/')) keys.push(key);
  await bucket.remove(keys);
}

function empty(note: string): Report {
  return { title: 'A large file to S3', how: 'Not measured.', tables: [], limits: [], notes: [note] };
}
