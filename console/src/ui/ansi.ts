// ansi.ts - a line as a terminal would show it: colours kept, everything else dropped

export interface Piece { text: string; class: string }

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];
// CSI sequences, OSC strings, and escapes of two characters.
// eslint-disable-next-line no-control-regex
const ESCAPE = /\u001b(?:\[([0-9;:?<=>]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

interface Look { colour: string; bold: boolean; dim: boolean }

function change(look: Look, parameters: string): void {
  const codes = parameters.split(/[;:]/).map(Number);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] || 0;
    if (code === 0) Object.assign(look, { colour: '', bold: false, dim: false });
    else if (code === 1) look.bold = true;
    else if (code === 2) look.dim = true;
    else if (code === 22) look.bold = look.dim = false;
    else if (code === 39) look.colour = '';
    else if (code >= 30 && code <= 37) look.colour = COLOURS[code - 30]!;
    else if (code >= 90 && code <= 97) look.colour = COLOURS[code - 90]!;
    else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : codes[i + 1] === 2 ? 4 : 0;
  }
}

const classOf = (look: Look): string =>
  [look.colour && `ansi-${look.colour}`, look.bold && 'ansi-bold', look.dim && 'ansi-dim'].filter(Boolean).join(' ');

/** What a carriage return overwrites is not seen: progress bars show their last state. */
function lastWritten(line: string): string {
  const trimmed = line.endsWith('\r') ? line.replace(/\r+$/, '') : line;
  return trimmed.slice(trimmed.lastIndexOf('\r') + 1);
}

export function pieces(line: string): Piece[] {
  const text = lastWritten(line);
  const look: Look = { colour: '', bold: false, dim: false };
  const out: Piece[] = [];
  let at = 0;
  const push = (part: string) => {
    const clean = part.replace(CONTROLS, '');
    if (clean) out.push({ text: clean, class: classOf(look) });
  };
  for (const match of text.matchAll(ESCAPE)) {
    push(text.slice(at, match.index));
    if (match[2] === 'm') change(look, match[1] ?? '');
    at = match.index + match[0].length;
  }
  push(text.slice(at));
  return out;
}
