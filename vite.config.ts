// Builds the upload page, and the element as a script that other sites can embed, into `server/dist/page`.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin, type UserConfig } from 'vite';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The oldest that the client runs in, as docs/client.md has them. `AbortSignal.any` and `Promise.withResolvers` are their newest. */
export const BROWSERS = ['chrome119', 'edge119', 'firefox124', 'safari17.4'] as const;

/** What tus-js-client brings along for old browsers and every browser of today has: parsing an address, and base64. */
const NATIVE: Readonly<Record<string, string>> = {
  'url-parse': 'export default globalThis.URL',
  'js-base64':
    'export const Base64 = { encode: (text) => btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("")) }',
};

function native(): Plugin {
  const PREFIX = '\0native:';
  return {
    name: 'landfall:native',
    enforce: 'pre',
    resolveId: (source, importer) => (importer?.includes('/tus-js-client/') && Object.hasOwn(NATIVE, source) ? PREFIX + source : undefined),
    load: (id) => (id.startsWith(PREFIX) ? NATIVE[id.slice(PREFIX.length)] : undefined),
  };
}

/** The element's styles are text in its script, which no minifier shortens. */
function shortStyles(): Plugin {
  return {
    name: 'landfall:short-styles',
    transform: (code, id) =>
      id.includes('/client/element/styles/')
        ? code
            .replace(/\/\*.*?\*\//gs, '')
            .replace(/\n\s*/g, '\n')
            .replace(/(?<=[{;,:]) | (?=\{)/g, '')
            .replace(/;\s*\}/g, '}')
            .replace(/ > /g, '>')
        : undefined,
  };
}

/** The font's licence (SIL OFL 1.1) wants to travel with it. */
function fontLicence(): Plugin {
  return {
    name: 'landfall:font-licence',
    generateBundle() {
      const source = readFileSync(at('./node_modules/@fontsource-variable/hanken-grotesk/LICENSE'), 'utf8');
      this.emitFile({ type: 'asset', fileName: 'assets/hanken-grotesk-LICENSE.txt', source });
    },
  };
}

const config: UserConfig = defineConfig({
  root: at('./client/page'),
  // The server can be mounted under any path.
  base: './',
  plugins: [native(), shortStyles(), fontLicence()],
  build: {
    outDir: at('./server/dist/page'),
    emptyOutDir: true,
    target: [...BROWSERS],
    // The page's content security policy has no place for fonts and styles from `data:`, nor for script that is not in index.html.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: {
        index: at('./client/page/index.html'),
        link: at('./client/page/link.html'),
        'landfall-upload': at('./client/element/define.ts'),
      },
      output: {
        // A stable address to embed from; it imports the hashed chunks.
        entryFileNames: ({ name }) => (name === 'landfall-upload' ? '[name].js' : 'assets/[name]-[hash].js'),
      },
      preserveEntrySignatures: 'strict',
    },
  },
});

export default config;
