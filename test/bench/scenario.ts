import type { Report } from './report.ts';

export interface Settings {
  rounds: number;
  /** The size of the large file in bytes. */
  size: number;
  chunk: number;
  /** The number of small files in a round. */
  count: number;
  connections: number;
  /** The number of rows in the large ledger. */
  rows: number;
  /** The number of simultaneous slow uploads. */
  senders: number;
  /** The devices to measure on, for a scenario that supports both. */
  devices: readonly Device[];
  /** Part of a rival's name; only those (and Landfall) are measured. Empty: all. */
  rivals: readonly string[];
  /** Reports progress. */
  log(line: string): void;
}

/** Where a server keeps its data: memory shows the cost of the server, a disk the waiting time of its user. */
export interface Device {
  readonly name: 'tmpfs' | 'disk';
  readonly path: string;
}

export interface Scenario {
  readonly name: string;
  /** One line for `--help`. */
  readonly about: string;
  /** The devices that the scenario is measured on by default. */
  readonly devices: readonly Device['name'][];
  /** The most bytes on a device at one time. */
  bytes(settings: Settings): number;
  run(settings: Settings): Promise<Report[]>;
}

/** Measures on one device after the other. */
export function onEachDevice(measure: (settings: Settings, device: Device) => Promise<Report>): Scenario['run'] {
  return async (settings) => {
    const reports: Report[] = [];
    for (const device of settings.devices) reports.push(await measure(settings, device));
    return reports;
  };
}
