// Starts Landfall with default settings, and makes a film to send to it.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeVideo } from '../support/content.ts';
import { freePort } from '../support/free-port.ts';
import { clearStores, LANDFALL, storedBytes } from './rivals.ts';
import type { Device } from './scenario.ts';
import { ServerProcess } from './server-process.ts';
import { newFolder, removeFolder } from './work-folders.ts';

export class LandfallWithFilm implements AsyncDisposable {
  readonly film: string;
  readonly #folder: string;
  readonly #directory: string;
  readonly #server: ServerProcess;

  private constructor(folder: string, film: string, directory: string, server: ServerProcess) {
    this.#folder = folder;
    this.film = film;
    this.#directory = directory;
    this.#server = server;
  }

  static async open(device: Device, filmBytes: number): Promise<LandfallWithFilm> {
    const folder = newFolder(device);
    const directory = join(folder, 'server');
    mkdirSync(directory);
    const film = join(folder, 'film.mp4');
    await writeVideo(film, filmBytes);
    const port = await freePort();
    const server = await ServerProcess.start(LANDFALL.command(directory, port), directory, port);
    return new LandfallWithFilm(folder, film, directory, server);
  }

  get port(): number {
    return this.#server.port;
  }

  /** SHA-256 of the file stored since the last `clear`. */
  storedBytes(): number {
    return storedBytes(LANDFALL, this.#directory);
  }

  clear(): void {
    clearStores(LANDFALL, this.#directory);
  }

  lastWords(): string {
    return this.#server.lastWords();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
    removeFolder(this.#folder);
  }
}
