// Reads files from a drop or a picker. Walks folders and keeps their structure.
import { fileHandleOf } from '../browser/optional-apis.ts';

/**
 * A file with its path in a folder, from a drop or a picker.
 *
 * @example
 * ```ts
 * import 'landfall/element';
 *
 * document.querySelector('landfall-upload')?.add([{ file, relativePath: 'Footage/day 2/a.mov' }]);
 * ```
 */
export interface PickedFile {
  /** The file. */
  file: File;
  /** Path in the added folder, such as `Footage/day 2/a.mov`; absent for a single file. */
  relativePath?: string;
  /** Lets a later visit open the file again, in browsers that have file handles. */
  handle?: FileSystemFileHandle;
  /** Metadata of the unfinished upload that the file continues; absent for a new upload, which has that of the element's options. */
  metadata?: Readonly<Record<string, string>>;
}

/** Files that operating systems put into folders. They are skipped. */
const LITTER = /^(?:\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|\.localized)$/i;

/**
 * Call while the drop event is handled. Its items are empty afterwards, so this reads everything from them before the first await.
 * Leaves out files that cannot be read.
 */
export async function filesOfDrop(transfer: DataTransfer): Promise<PickedFile[]> {
  const items = [...transfer.items].filter((item) => item.kind === 'file');
  const dropped = items.map((item) => ({
    entry: item.webkitGetAsEntry(),
    file: item.getAsFile(),
    handle: fileHandleOf(item),
  }));
  const picked: PickedFile[] = [];
  for (const { entry, file, handle } of dropped) {
    if (entry?.isDirectory) {
      for await (const found of walk(entry as FileSystemDirectoryEntry)) picked.push(found);
    } else if (file) {
      const opened = await handle;
      picked.push({ file, ...(opened && { handle: opened }) });
    }
  }
  return picked;
}

async function* walk(folder: FileSystemDirectoryEntry): AsyncGenerator<PickedFile> {
  const reader = folder.createReader();
  // readEntries returns at most a hundred entries at a time (Chromium), and an empty list after the last.
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (entries.length === 0) return;
    for (const entry of entries) {
      if (entry.isDirectory) yield* walk(entry as FileSystemDirectoryEntry);
      else if (!LITTER.test(entry.name)) {
        const file = await new Promise<File | null>((resolve) => (entry as FileSystemFileEntry).file(resolve, () => resolve(null)));
        if (file) yield { file, relativePath: entry.fullPath.replace(/^\/+/, '') };
      }
    }
  }
}

/** Files of an `<input type="file">`, with or without `webkitdirectory`. */
export function filesOfInput(input: HTMLInputElement): PickedFile[] {
  const picked: PickedFile[] = [];
  for (const file of input.files ?? []) {
    if (!file.webkitRelativePath) picked.push({ file });
    else if (!LITTER.test(file.name)) picked.push({ file, relativePath: file.webkitRelativePath });
  }
  return picked;
}

/** Whether a drag carries files, and not a link or a selection. */
export function carriesFiles(transfer: DataTransfer | null): boolean {
  return transfer?.types.includes('Files') ?? false;
}
