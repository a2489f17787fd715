// Registers `<landfall-upload>`. The one import with an effect: `import 'landfall/element'`, or a script tag.
import { LandfallUploadElement } from './element.ts';

declare global {
  interface HTMLElementTagNameMap {
    'landfall-upload': LandfallUploadElement;
  }
}

// Two copies of the script on one page must not throw, nor the import where a page is made on a server (Next, Nuxt, Astro).
if (globalThis.customElements !== undefined && customElements.get('landfall-upload') === undefined)
  customElements.define('landfall-upload', LandfallUploadElement);

export type { PickedFile } from './drop.ts';
export type { ReasonParts, ReasonWords, SomeUploadStrings, UploadStrings } from './strings.ts';
export type { GetToken, TokenRequest } from './token.ts';
export { LandfallUploadElement };
