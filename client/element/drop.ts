// Files out of a drop or a picker, folders walked, their structure kept.
import { fileHandleOf } from '../browser/optional-apis.ts';

/**
 * A file with the place that it had in a folder, as a drop or a picker gives it.
 *
 * @example
 * ```ts
 * import 'landfall/element';
 *
 * document.querySelector('landfall-upload')?.add([{ file, relativePath: 'Footage/day 2/a.mov' }]);
 * ```
 */
export interface PickedFile {
  /** Its content. */
  file: File;
  /** `Footage/day 2/a.mov`: where the file stood below the folder that was given; absent for a file given by itself. */
  relativePath?: string;
  /** Lets the file be opened again on a later visit, where the browser has such handles. */
  handle?: FileSystemFileHandle;
}

/** What operating systems leave in folders; nobody means to send it. */
const LITTER = /^(?:\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|\.localized)$/i;

/**
 * Must be called while the drop event is handled: its items are empty afterwards, so everything is asked of them before
 * the first wait. A file that cannot be read any more is left out.
 */
export async function filesOfDrop(transfer: DataTransfer): Promise<PickedFile[]> {
  const items = [...transfer.items].filter((item) => item.kind === 'file');
  const taken = items.map((item) => ({
    entry: item.webkitGetAsEntry(),
    file: item.getAsFile(),
    handle: fileHandleOf(item),
  }));
  const picked: PickedFile[] = [];
  for (const { entry, file, handle } of taken) {
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
  // readEntries answers at most a hundred at a time (Chromium) and an empty list once it has told all.
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

/** From an `<input type="file">`, with or without `webkitdirectory`. */
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
