// Bundles the console and writes it as a C++ source file. usage: node build.mjs OUT.cc
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { bundle } from './bundle.mjs';

const out = process.argv[2];
const files = await bundle();

function array(name, bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 32) lines.push(bytes.subarray(at, at + 32).join(','));
  return `constexpr unsigned char ${name}[] = {\n${lines.join(',\n')}};\n`;
}
let text = '// Made by web/build.mjs.\n#include "console/files.h"\n\nnamespace paceline::console {\nnamespace {\n\n';
const rows = [];
files.forEach(([name, type, plain], n) => {
  const brotli = brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  const gzip = gzipSync(plain, { level: 9 });
  text += array(`kBrotli${n}`, brotli) + array(`kGzip${n}`, gzip) + array(`kPlain${n}`, plain);
  const tag = createHash('sha256').update(plain).digest('hex').slice(0, 16);
  const view = (array) => `View(${array}${n})`;
  rows.push(`    {"${name}", "${type}", "\\"${tag}\\"", ${view('kBrotli')}, ${view('kGzip')}, ${view('kPlain')}},`);
});
text += `
template <size_t N>
std::string_view View(const unsigned char (&bytes)[N]) {
  return {reinterpret_cast<const char*>(bytes), N};
}

}  // namespace

std::span<const WebFile> WebFiles() {
  static const WebFile kFiles[] = {
${rows.join('\n')}
  };
  return kFiles;
}

}  // namespace paceline::console
`;
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, text);
