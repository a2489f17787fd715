// Registers `<landfall-upload>`. This is the only module with a side effect: `import 'landfall/element'`, or a script tag.
import { LandfallUploadElement } from './element.ts';

declare global {
  interface HTMLElementTagNameMap {
    'landfall-upload': LandfallUploadElement;
  }
}

// A second copy of the script on a page must not throw, nor must the import during server-side rendering (Next, Nuxt, Astro).
if (globalThis.customElements !== undefined && customElements.get('landfall-upload') === undefined)
  customElements.define('landfall-upload', LandfallUploadElement);

export type { PickedFile } from './drop.ts';
export type { ReasonParts, ReasonWords, SomeUploadStrings, UploadStrings } from './strings.ts';
export type { GetToken, TokenRequest } from './token.ts';
export { LandfallUploadElement };
