// Measures what the modules weigh minified and gzipped, and fails over budget.
// What is served is the modules as they are; this is what a bundler would make of them.

import { buildSync } from 'esbuild';
import { gzipSync } from 'node:zlib';

const ui = new URL('..', import.meta.url).pathname;
const BUDGETS = [
  { name: 'client', entry: 'client.js', external: [], bytes: 8 * 1024 },
  { name: 'element (both languages, beside the client)', entry: 'chatroom.js', external: ['./client.js'], bytes: 20 * 1024 },
];

let over = false;
for (const { name, entry, external, bytes } of BUDGETS) {
  const { outputFiles } = buildSync({
    entryPoints: [ui + entry], bundle: true, minify: true, format: 'esm', target: 'es2022', write: false, external,
  });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${name}: ${size} bytes of ${bytes}`);
  over ||= size > bytes;
}
process.exitCode = over ? 1 : 0;
