// sse.ts - server-sent events over fetch, because EventSource can send no key

export interface Message { id: string; event: string; data: string }

/** Takes an event stream in pieces (WHATWG HTML, 9.2). `id` is the last one seen, also without data. */
export class SseParser {
  id: string;
  private rest = '';
  private data: string[] = [];
  private event = '';

  constructor(id = '') {
    this.id = id;
  }

  /** A new connection begins: what was half received comes again. */
  restart(): void {
    this.rest = '';
    this.data = [];
    this.event = '';
  }

  feed(text: string, emit: (message: Message) => void): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const raw of lines) this.line(raw.endsWith('\r') ? raw.slice(0, -1) : raw, emit);
  }

  private line(line: string, emit: (message: Message) => void): void {
    if (line === '') {
      if (this.data.length) emit({ id: this.id, event: this.event || 'message', data: this.data.join('\n') });
      this.data = [];
      this.event = '';
      return;
    }
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'data') this.data.push(value);
    else if (name === 'event') this.event = value;
    else if (name === 'id') this.id = value;
  }
}
