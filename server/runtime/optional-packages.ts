// Optional peer packages: loaded when a setting needs them.
import { StartError } from './start-error.ts';

/** A setting needs packages that are not installed. The message has the command that installs them. */
export class PackageMissing extends StartError {
  override readonly name = 'PackageMissing';
  override readonly code = 'ERR_PACKAGE_MISSING';
}

/**
 * Loads modules that import the named packages.
 *
 * @param setting the setting that needs them, as an operator writes it
 * @throws PackageMissing with the command that installs them
 */
export async function loadWith<T>(packages: readonly string[], setting: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
    const missing = isMissing ? packages.find((name) => error.message.includes(`'${name}'`)) : undefined;
    if (missing === undefined) throw error;
    throw new PackageMissing(`${setting} needs the package ${missing}, which is not installed: npm install ${packages.join(' ')}`, {
      cause: error,
    });
  }
}
