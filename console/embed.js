// embed.js - the files that Vite made, compressed, as the table of src/console/console.h
//
//     node embed.js FOLDER OUTPUT.c
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const codings = [
  ['br', (bytes) => brotliCompressSync(bytes, { params: {
    [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } })],
  ['gzip', (bytes) => gzipSync(bytes, { level: 9 })],
];

// Octal escapes have three digits, so what follows never becomes a part of them.
function literal(bytes) {
  let text = '';
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    text += char === '"' || char === '\\' ? `\\${char}`
      : byte >= 32 && byte < 127 && char !== '?' ? char
        : `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return `"${text}"`;
}

function pieces(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 1000) lines.push(`    ${literal(bytes.subarray(at, at + 1000))}`);
  return lines.join('\n');
}

// What does not become smaller is sent as it is.
function bodiesOf(content) {
  const bodies = [[null, content]];
  for (const [coding, compress] of [...codings].reverse()) {
    const made = compress(content);
    if (made.length < bodies[0][1].length) bodies.unshift([coding, made]);
  }
  return bodies;
}

const [folder, output] = process.argv.slice(2);
const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1)).sort();
const data = [];
const rows = names.map((name, number) => {
  const type = types[extname(name)];
  if (!type) throw new Error(`${name}: embed.js knows no type of this ending`);
  const content = readFileSync(join(folder, name));
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 24);
  const bodies = bodiesOf(content).map(([coding, bytes], index) => {
    data.push(`static const char bytes_${number}_${index}[] =\n${pieces(bytes)};`);
    return `{ .coding = ${coding ? `"${coding}"` : 'NULL'}, .tag = "\\"${digest}${coding ? `-${coding}` : ''}\\"", `
      + `.bytes = bytes_${number}_${index}, .len = sizeof bytes_${number}_${index} - 1 }`;
  });
  return `    { .path = "/console/${name}", .type = "${type}", .immutable = ${name.startsWith('assets/')},\n`
    + `      .bodies = { ${bodies.join(',\n                  ')} } },`;
});

writeFileSync(output, ['#include "console/console.h"', '', ...data, '',
  'const struct console_file console_files[] = {', ...rows, '    { .path = NULL },', '};', ''].join('\n'));
