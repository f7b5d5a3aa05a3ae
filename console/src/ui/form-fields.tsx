// form-fields.tsx - inputs for declared fields
import type { Declared, Field } from '#declared/requests';
import { commandText } from '../cli';
import { kindOf, type Types, type Value, type Values } from '../form';

interface Props { types: Types; values: Values; onChange: (values: Values) => void; wrong: { field: string; text: string } | null; path?: string; choices?: Record<string, string[]>;
  /** Of a part that may be left out: what it needs is needed only when it is there. */
  nested?: boolean }

const titleOf = (name: string): string => name.replaceAll('_', ' ').replace(/\b([cg]pu)(s?)\b/g, (_, unit: string, many: string) => unit.toUpperCase() + many).replace(/^./, (c) => c.toUpperCase());

/** What a declaration says; `words` between backquotes are code. */
const Doc = ({ text }: { text: string | undefined }) => <>{(text ?? '').split('`').map((part, i) => i % 2 ? <code key={i}>{part}</code> : part)}</>;

function Rows({ field, types, rows, onChange, id, labels }: { field: Field; types: Types; rows: Value[]; onChange: (rows: Value[]) => void; id: string; labels: string }) {
  const { kind, inner } = kindOf(field, types);
  const fields: [string, Field][] = kind === 'map' ? [['key', { type: 'string', doc: 'Name' }], ['value', { type: 'string', doc: 'Value' }]]
    : Object.entries(types[inner]?.fields ?? { '': { type: inner, doc: field.doc } });
  const set = (at: number, value: Value) => onChange(rows.map((row, i) => i === at ? value : row));
  return (
    <div class="rows">
      {rows.map((row, at) => (
        <div class="rows-row" key={at}>
          {fields.map(([name, part]) => (
            <input key={name} id={at === 0 && name === fields[0]![0] ? id : undefined} aria-label={`${labels} ${at + 1}: ${part.doc}`} title={part.doc}
              placeholder={part.required ? `${name} *` : name} value={String(name ? (row as Values)[name] ?? '' : row)}
              onInput={(e) => set(at, name ? { ...(row as Values), [name]: e.currentTarget.value } : e.currentTarget.value)} />
          ))}
          <button type="button" class="plain" aria-label={`Remove ${labels} ${at + 1}`} onClick={() => onChange(rows.filter((_, i) => i !== at))}>✕</button>
        </div>
      ))}
      <button type="button" id={rows.length ? undefined : id} onClick={() => onChange([...rows, fields[0]![0] ? {} : ''])}>Add</button>
    </div>
  );
}

function Input({ name, field, types, value, onChange, id, describedBy, choices, invalid }: {
  name: string; field: Field; types: Types; value: Value | undefined; onChange: (value: Value) => void; id: string; describedBy: string; choices?: string[]; invalid: boolean;
}) {
  const { kind, declared } = kindOf(field, types);
  const text = typeof value === 'string' ? value : '';
  const usual = field.default !== undefined ? String(field.default) : '';
  const hint = usual || (field.example !== undefined && kind !== 'command' ? String(field.example) : '');
  const common = { id, name, 'aria-describedby': describedBy, 'aria-invalid': invalid || undefined };
  const options = choices ?? declared.enum;
  if (kind === 'map' || kind === 'list')
    return <Rows field={field} types={types} rows={(value as Value[] | undefined) ?? []} onChange={onChange} id={id} labels={titleOf(name)} />;
  if (kind === 'switch') return <input type="checkbox" {...common} checked={value === true} onChange={(e) => onChange(e.currentTarget.checked)} />;
  if (options && (kind === 'choice' || choices))
    return (
      <select {...common} value={text} onChange={(e) => onChange(e.currentTarget.value)}>
        <option value="">{usual ? `${usual} (default)` : '–'}</option>
        {options.map((option) => <option key={option} value={option}>{option}</option>)}
      </select>
    );
  if (kind === 'command')
    return <textarea {...common} class="mono" rows={4} required={field.required} spellcheck={false} placeholder={'python3 train.py --epochs 10'}
      value={Array.isArray(value) ? commandText(value as string[]) : text} onInput={(e) => onChange(e.currentTarget.value)} />;
  return <input {...common} class={kind === 'number' || kind === 'amount' ? 'short' : undefined} value={text} placeholder={hint} required={field.required} spellcheck={false} inputMode={kind === 'number' ? 'decimal' : undefined}
    autocomplete="off" onInput={(e) => onChange(e.currentTarget.value)} />;
}

export function Fields({ fields, only, ...props }: Props & { fields: NonNullable<Declared['fields']>; only?: string[] }) {
  const { types, values, onChange, wrong, path = '', choices, nested } = props;
  const shown = only ? only.flatMap((name): [string, Field][] => fields[name] ? [[name, fields[name]]] : []) : Object.entries(fields);
  return (
    <>
      {shown.map(([name, given]) => {
        const field = nested && Object.keys(values).length === 0 ? { ...given, required: false } : given;
        const at = path ? `${path}.${name}` : name;
        const id = `field-${at}`;
        const { kind, declared } = kindOf(field, types);
        const set = (value: Value) => onChange({ ...values, [name]: value });
        if (kind === 'object')
          return (
            <details class="group" key={name} open={Object.keys((values[name] as Values | undefined) ?? {}).length > 0}>
              <summary>{titleOf(name)} <span class="help"><Doc text={field.doc} /></span></summary>
              <fieldset aria-label={titleOf(name)}>
                <Fields fields={declared.fields!} types={types} values={(values[name] as Values | undefined) ?? {}} onChange={set} wrong={wrong} path={at} nested />
              </fieldset>
            </details>
          );
        const bad = wrong && (wrong.field === at || wrong.field.startsWith(`${at}[`) || wrong.field.startsWith(`${at}.`));
        return (
          <div class={`form-field${kind === 'switch' ? ' form-switch' : ''}`} key={name}>
            <label for={id}>{titleOf(name)}{field.required && <span class="faint"> (needed)</span>}</label>
            <Input name={name} field={field} types={types} value={values[name]} onChange={set} id={id} describedBy={`${id}-help`} choices={choices?.[at]} invalid={!!bad} />
            <p class={bad ? 'help bad' : 'help'} id={`${id}-help`}>{bad ? wrong.text : <Doc text={field.doc} />}</p>
          </div>
        );
      })}
    </>
  );
}
