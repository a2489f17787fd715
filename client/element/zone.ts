import { contours } from './contours.ts';
import { h, setAttribute, setText } from './dom.ts';
import { carriesFiles, filesOfDrop, filesOfInput, type PickedFile } from './drop.ts';
import { icon } from './icons.ts';
import type { UploadStrings } from './strings.ts';

export interface ZoneState {
  strings: UploadStrings;
  /** Uploads are listed below, so the zone is smaller. */
  isBusy: boolean;
  /** Files were added already. */
  isMore: boolean;
  /** The accepted files, in words. */
  rules: string;
  /** The picker's `accept`. */
  accept: string | null;
}

/** The drop zone: files are dropped on it, or chosen with the browser's picker. */
export class Zone {
  readonly element: HTMLElement;
  readonly #heading = h('h2', {});
  readonly #files = h('span', {});
  readonly #folder = h('span', {});
  readonly #rules = h('p', { class: 'rules' });
  readonly #choose: HTMLButtonElement;
  readonly #chooseFolder: HTMLButtonElement;
  readonly #input: HTMLInputElement;
  readonly #folderInput: HTMLInputElement;
  readonly #onFiles: (files: PickedFile[]) => void;
  #isDragOver = false;
  #state: ZoneState | undefined;

  constructor(onFiles: (files: PickedFile[]) => void) {
    this.#onFiles = onFiles;
    this.#input = this.#makeInput({ multiple: true });
    this.#folderInput = this.#makeInput({ multiple: true, webkitdirectory: true });
    this.#choose = h(
      'button',
      { class: 'primary', part: 'choose', attributes: { type: 'button' }, on: { click: () => this.#input.click() } },
      icon('upload'),
      this.#files,
    );
    this.#chooseFolder = h(
      'button',
      { class: 'outlined', part: 'choose-folder', attributes: { type: 'button' }, on: { click: () => this.#folderInput.click() } },
      icon('folder'),
      this.#folder,
    );
    // Phones cannot choose folders.
    this.#chooseFolder.hidden = !('webkitdirectory' in this.#folderInput) || !canDrop();
    this.element = h(
      'section',
      { class: 'zone', part: 'zone' },
      contours(),
      h('div', { class: 'content' }, this.#heading, h('div', { class: 'choices' }, this.#choose, this.#chooseFolder), this.#rules),
      this.#input,
      this.#folderInput,
    );
  }

  show(state: ZoneState): void {
    this.#state = state;
    const { strings, isBusy, isMore, rules, accept } = state;
    setText(this.#heading, this.#isDragOver ? strings.dropNow : isMore ? strings.dropMore : canDrop() ? strings.dropHere : strings.choose);
    this.#heading.hidden = isBusy && !canDrop();
    setText(this.#files, isBusy ? strings.addFiles : strings.chooseFiles);
    setText(this.#folder, isBusy ? strings.addFolder : strings.chooseFolder);
    setAttribute(this.#chooseFolder, 'aria-label', strings.chooseFolder);
    setText(this.#rules, rules);
    this.#rules.hidden = rules === '';
    setAttribute(this.element, 'aria-label', strings.label);
    setAttribute(this.#input, 'aria-label', strings.chooseFiles);
    setAttribute(this.#folderInput, 'aria-label', strings.chooseFolder);
    setAttribute(this.#input, 'accept', accept);
  }

  focus(): void {
    this.#choose.focus();
  }

  /** Accepts files that are dropped anywhere on the target, until the signal is aborted. */
  acceptDrops(target: EventTarget, signal: AbortSignal): void {
    // Browsers report entering a child before leaving its parent, so only the count tells when the drag has left the target.
    let depth = 0;
    const on = (type: string, handle: (event: DragEvent) => void) =>
      target.addEventListener(
        type,
        (event) => {
          if (event instanceof DragEvent && carriesFiles(event.dataTransfer)) handle(event);
        },
        { signal },
      );
    on('dragenter', (event) => {
      event.preventDefault();
      depth++;
      this.#setDragOver(true);
    });
    on('dragover', (event) => {
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = 'copy';
    });
    on('dragleave', () => {
      depth = Math.max(0, depth - 1);
      if (depth === 0) this.#setDragOver(false);
    });
    on('drop', (event) => {
      event.preventDefault();
      depth = 0;
      this.#setDragOver(false);
      if (event.dataTransfer) void filesOfDrop(event.dataTransfer).then((files) => this.#add(files));
    });
  }

  #setDragOver(isOver: boolean): void {
    if (this.#isDragOver === isOver) return;
    this.#isDragOver = isOver;
    this.element.classList.toggle('over', isOver);
    if (this.#state) this.show(this.#state);
  }

  #add(files: PickedFile[]): void {
    if (files.length > 0) this.#onFiles(files);
  }

  #makeInput(attributes: Readonly<Record<string, boolean>>): HTMLInputElement {
    const input = h('input', { attributes: { ...attributes, type: 'file', hidden: true, tabindex: -1 } });
    input.addEventListener('change', () => {
      const files = filesOfInput(input);
      // Otherwise choosing the same file again would not cause a `change` event.
      input.value = '';
      this.#add(files);
    });
    return input;
  }
}

function canDrop(): boolean {
  return !matchMedia('(pointer: coarse) and (hover: none)').matches;
}
