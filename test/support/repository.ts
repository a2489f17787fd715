import { fileURLToPath } from 'node:url';

/** Root of the working tree, without a slash at the end. */
export const REPOSITORY: string = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
