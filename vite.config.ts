// Builds the upload page, and the element as a script that other sites can embed, into `dist/page`.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: at('./client/page'),
  // The server can be mounted under any path.
  base: './',
  build: {
    outDir: at('./dist/page'),
    emptyOutDir: true,
    target: 'es2023',
    // The page's content security policy has no place for `data:` fonts and styles, nor for inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: at('./client/page/index.html'), 'landfall-upload': at('./client/element/define.ts') },
      output: {
        // A stable address to embed from; it imports the hashed chunks.
        entryFileNames: ({ name }) => (name === 'landfall-upload' ? '[name].js' : 'assets/[name]-[hash].js'),
      },
      preserveEntrySignatures: 'strict',
    },
  },
});
