// BERTH_CONSOLE_WORK is where tools/build-console put the types of the declarations.
import { resolve } from 'node:path';
import { defineConfig } from 'vite';

const work = process.env.BERTH_CONSOLE_WORK;

export default defineConfig({
  base: '/console/',
  resolve: { alias: { '#declared': resolve(work, 'declared') } },
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    cssCodeSplit: true,
    reportCompressedSize: false,
  },
});
