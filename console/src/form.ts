// form.ts - what a form holds, as the body of a request and as flags of the command line; both by the declarations
import type { Declared, Field } from '#declared/requests';

/** What is typed: text for single values, rows for maps and lists, a nested form for objects. */
export type Value = string | boolean | Value[] | { [name: string]: Value };
export type Values = { [name: string]: Value };
export type Types = { [name: string]: Declared };

const NUMBERS = new Set(['integer', 'number']);

export type Kind = 'text' | 'number' | 'amount' | 'choice' | 'switch' | 'command' | 'map' | 'list' | 'object';

/** How FIELD is put in; INNER is the type of its items or its own. */
export function kindOf(field: Field, types: Types): { kind: Kind; declared: Declared; inner: string } {
  const inner = /^[[{]/.test(field.type) ? field.type.slice(1, -1) : field.type;
  const declared: Declared = types[field.type] ?? field;
  const base = declared.type ?? field.type;
  if (base[0] === '{') return { kind: 'map', declared, inner: base.slice(1, -1) };
  if (base[0] === '[') return { kind: 'list', declared, inner: base.slice(1, -1) };
  if (declared.fields) return { kind: 'object', declared, inner };
  if (declared.enum ?? field.enum) return { kind: 'choice', declared: { ...declared, enum: declared.enum ?? field.enum }, inner };
  if (base === 'boolean') return { kind: 'switch', declared, inner };
  if (base === 'command') return { kind: 'command', declared, inner };
  if (NUMBERS.has(base)) return { kind: 'number', declared, inner };
  if (base === 'bytes' || base === 'seconds') return { kind: 'amount', declared, inner };
  return { kind: 'text', declared, inner };
}

/** Bytes as they are typed, where that says the same. */
function amountOf(value: unknown): string {
  if (typeof value !== 'number' || value <= 0) return String(value);
  for (const [unit, size] of [['Ti', 2 ** 40], ['Gi', 2 ** 30], ['Mi', 2 ** 20], ['Ki', 1024]] as const)
    if (value % size === 0) return `${value / size}${unit}`;
  return String(value);
}

const isEmpty = (value: Value | undefined): boolean => value === undefined || value === '' || value === false
  || (Array.isArray(value) ? value.every(isEmpty) : typeof value === 'object' && Object.values(value).every(isEmpty));

function scalar(text: string, kind: Kind): unknown {
  if (kind === 'number' || kind === 'amount') return text !== '' && isFinite(Number(text)) ? Number(text) : text;
  return text;
}

/** Fields that were left empty are left out; the server knows their defaults and refuses what is wrong. */
export function bodyOf(declared: Declared, types: Types, values: Values): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(declared.fields ?? {})) {
    const value = values[name];
    if (isEmpty(value)) continue;
    const { kind, declared: type, inner } = kindOf(field, types);
    if (kind === 'object') body[name] = bodyOf(type, types, value as Values);
    else if (kind === 'map') body[name] = Object.fromEntries((value as Values[]).filter((row) => row.key).map((row) => [row.key, row.value ?? '']));
    else if (kind === 'list') body[name] = (value as Value[]).filter((row) => !isEmpty(row)).map((row) =>
      typeof row === 'object' ? bodyOf(types[inner]!, types, row as Values) : scalar(String(row), kindOf({ type: inner, doc: '' }, types).kind));
    else if (kind === 'command') body[name] = value;
    else if (kind === 'switch') body[name] = true;
    else body[name] = scalar(value as string, kind);
  }
  return body;
}

/** What a body says, as it would have been typed; bodyOf() gives it back. */
export function valuesOf(declared: Declared, types: Types, body: Record<string, unknown>): Values {
  const values: Values = {};
  for (const [name, field] of Object.entries(declared.fields ?? {})) {
    const value = body[name];
    if (value === undefined || value === null) continue;
    const { kind, declared: type, inner } = kindOf(field, types);
    if (kind === 'object') values[name] = valuesOf(type, types, value as Record<string, unknown>);
    else if (kind === 'map') values[name] = Object.entries(value as object).map(([key, one]) => ({ key, value: String(one) }));
    else if (kind === 'list') values[name] = (value as unknown[]).map((row) =>
      typeof row === 'object' ? valuesOf(types[inner]!, types, row as Record<string, unknown>) : String(row));
    else if (kind === 'switch') values[name] = value === true;
    else if (kind === 'command') values[name] = value as Value;
    else values[name] = (type.type ?? field.type) === 'bytes' ? amountOf(value) : String(value);
  }
  return values;
}

/** The flags of `berth run` that say BODY, without the command itself. */
export function flagsOf(declared: Declared, types: Types, body: Record<string, unknown>): string[] {
  const flags: string[] = [];
  for (const [name, field] of Object.entries(declared.fields ?? {})) {
    const value = body[name];
    if (value === undefined) continue;
    const { kind, declared: type, inner } = kindOf(field, types);
    const flag = field.flag && `--${field.flag}`;
    if (kind === 'object') flags.push(...flagsOf(type, types, value as Record<string, unknown>));
    else if (!flag) continue;
    else if (kind === 'map') for (const [key, one] of Object.entries(value as object)) flags.push(flag, `${key}=${one}`);
    else if (kind === 'list') for (const row of value as unknown[]) flags.push(flag, typeof row === 'object'
      ? (types[inner]?.flag_form ?? []).map((part) => (row as Record<string, unknown>)[part]).filter((part) => part !== undefined).join(':') : String(row));
    else if (kind === 'switch') flags.push(flag);
    else flags.push(flag, String(value));
  }
  return flags;
}
