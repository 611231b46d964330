// The console's files, bundled: [name, content type, bytes].
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

export async function bundle() {
  const result = await build({
    absWorkingDir: here,
    entryPoints: { app: 'src/main.tsx' },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2021',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    outdir: 'out',
    write: false,
    logLevel: 'warning',
  });
  const built = (extension) => result.outputFiles.find((file) => file.path.endsWith(extension)).contents;
  return [
    ['index.html', 'text/html; charset=utf-8', readFileSync(join(here, 'src/index.html'))],
    ['app.js', 'text/javascript; charset=utf-8', Buffer.from(built('.js'))],
    ['app.css', 'text/css; charset=utf-8', Buffer.from(built('.css'))],
    ['icon.svg', 'image/svg+xml', readFileSync(join(here, 'src/icon.svg'))],
  ];
}
