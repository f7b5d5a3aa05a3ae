// cli.ts - the command and the API call behind what the console does
import { endpoints, type Endpoints } from '#declared/api';
import { target, type Input, type Name } from './client';

/** Endpoints whose everyday command is not called like them; the others are `berth NOUN VERB`. */
const SHORT: Partial<Record<Name, string>> = {
  'job.create': 'run', 'job.stop': 'stop', 'job.why': 'why', 'queue.show': 'queue',
  'log.show': 'logs', 'log.search': 'logs', 'chart.list': 'charts', 'chart.points': 'charts', 'artifact.list': 'artifacts',
  'artifact.fetch': 'artifact get', 'event.list': 'event follow', 'session.exec': 'exec', 'top.show': 'top', 'top.job': 'top',
};

export const verbOf = (name: Name): string => SHORT[name] ?? name.replace('.', ' ');

/** For a POSIX shell. */
export const quote = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** What no single endpoint does; WORDS follow the verb and the project. */
export const verb = (words: string, project: string, rest: string[]): string =>
  ['berth', ...words.split(' '), '--project', project, ...rest].map(quote).join(' ');

/** OPERANDS and FLAGS follow the verb; the project is named unless the path has none. */
export function command<E extends Name>(name: E, path: Endpoints[E]['path'] | undefined, rest: string[] = []): string {
  const words = ['berth', ...verbOf(name).split(' ')];
  const params = (path ?? {}) as Record<string, string>;
  if (params.project && !name.startsWith('project.')) words.push('--project', params.project);
  for (const [param, value] of Object.entries(params))
    if (param !== 'project' || name.startsWith('project.')) words.push(value);
  return [...words, ...rest].map(quote).join(' ');
}

/** As curl, with the key taken from the environment. */
export function curl<E extends Name>(name: E, input: Input<E>): string {
  const method = endpoints[name][0];
  const words = ['curl', '-sS'];
  if (method !== 'GET') words.push('-X', method);
  let text = words.join(' ') + ' -H "Authorization: Bearer $BERTH_KEY"';
  if (input.ifMatch) text += ` -H ${quote(`If-Match: ${input.ifMatch}`)}`;
  if (input.body !== undefined) text += ` -H 'Content-Type: application/json' -d ${quote(JSON.stringify(input.body))}`;
  return `${text} ${quote(location.origin + target(name, input))}`;
}

/** A command as it would be typed: what `sh -c` runs, or the quoted words. */
export const commandText = (words: string[] | string | undefined): string =>
  words === undefined ? '' : typeof words === 'string' ? words
    : words.length === 3 && /^(\/bin\/)?sh$/.test(words[0]!) && words[1] === '-c' ? words[2]! : words.map(quote).join(' ');
