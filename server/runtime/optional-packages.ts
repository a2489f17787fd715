// Packages that only some settings ask for: optional peers of this one, loaded when the setting is there.
import { StartError } from './start-error.ts';

/** A setting asks for packages that are not installed. The message has the command that installs them. */
export class PackageMissing extends StartError {
  override readonly name = 'PackageMissing';
  override readonly code = 'ERR_PACKAGE_MISSING';
}

/**
 * Loads modules that import the named packages.
 *
 * @param setting what asks for them, as an operator writes it
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
