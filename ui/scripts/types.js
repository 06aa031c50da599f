// Writes types/*.d.ts from the JSDoc of the modules, or with --check tells whether they are what would be written.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ui = new URL('..', import.meta.url).pathname;
const check = process.argv.includes('--check');
const out = check ? mkdtempSync(join(tmpdir(), 'types-')) : join(ui, 'types');
if (!check) rmSync(out, { recursive: true, force: true });
execFileSync(join(ui, 'node_modules/.bin/tsc'), ['-p', ui, '--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--outDir', out], { stdio: 'inherit' });
if (check) {
  const read = (dir) => Object.fromEntries(readdirSync(dir).sort().map((f) => [f, readFileSync(join(dir, f), 'utf8')]));
  const [now, kept] = [read(out), read(join(ui, 'types'))];
  rmSync(out, { recursive: true });
  const differs = [...new Set([...Object.keys(now), ...Object.keys(kept)])].filter((f) => now[f] !== kept[f]);
  if (differs.length) {
    console.error(`types/ is not what the modules say: ${differs.join(', ')}. Run: npm run types:write`);
    process.exit(1);
  }
}
