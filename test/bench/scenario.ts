import type { Report } from './report.ts';

export interface Settings {
  rounds: number;
  /** Of the large file, bytes. */
  size: number;
  chunk: number;
  /** Small files a round. */
  count: number;
  connections: number;
  /** Rows of the large ledger. */
  rows: number;
  /** Slow uploads at once. */
  senders: number;
  /** Which devices to measure on, where a scenario knows both. */
  devices: readonly Device[];
  /** Part of a rival's name; only those (and Landfall) are measured. Empty: all. */
  rivals: readonly string[];
  /** Said as the work goes on. */
  log(line: string): void;
}

/** Where a server keeps its data: memory tells what the server costs, a disk what its user waits for. */
export interface Device {
  readonly name: 'tmpfs' | 'disk';
  readonly path: string;
}

export interface Scenario {
  readonly name: string;
  /** One line for `--help`. */
  readonly about: string;
  /** Measured on these where nobody says otherwise. */
  readonly devices: readonly Device['name'][];
  /** The most that lies on a device at one time. */
  bytes(settings: Settings): number;
  run(settings: Settings): Promise<Report[]>;
}

/** One device after the other. */
export function onEachDevice(measure: (settings: Settings, device: Device) => Promise<Report>): Scenario['run'] {
  return async (settings) => {
    const reports: Report[] = [];
    for (const device of settings.devices) reports.push(await measure(settings, device));
    return reports;
  };
}
