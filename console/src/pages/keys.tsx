// keys.tsx - who may use the API; a key's text is shown once
import { useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { bodies, types } from '#declared/requests';
import { call, Problem } from '../client';
import { command, curl } from '../cli';
import { bodyOf, flagsOf, type Values } from '../form';
import { moment } from '../format';
import { session } from '../live';
import { useLoad } from '../load';
import { Command, copy, Dialog, note, textOf, Time, Trouble } from '../ui/parts';
import { Fields } from '../ui/form-fields';

const declared = types[bodies['key.create']!]!;

function NewKey({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [values, setValues] = useState<Values>({});
  const [wrong, setWrong] = useState<{ field: string; text: string } | null>(null);
  const [made, setMade] = useState<Api.Key | null>(null);
  const body = bodyOf(declared, types, values) as Api.KeyRequest;
  const flags = flagsOf(declared, types, body as unknown as Record<string, unknown>);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      setMade(await call('key.create', { body }));
      onDone();
    } catch (reason) {
      setWrong({ field: reason instanceof Problem ? reason.field : '', text: textOf(reason) });
    }
  };
  if (made)
    return (
      <Dialog title={`The key ${made.name}`} onClose={onClose}>
        <p>This is its text. It is not stored and will not be shown again.</p>
        <pre class="preview" tabIndex={0}>{made.key}</pre>
        <footer><span class="spring" /><button onClick={() => void copy(made.key ?? '')}>Copy</button><button class="primary" onClick={onClose}>Done</button></footer>
      </Dialog>
    );
  return (
    <Dialog title="New key" onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        <Fields fields={declared.fields!} types={types} values={values} onChange={(next) => { setValues(next); setWrong(null); }} wrong={wrong}
          choices={{ project: session.get()?.projects.map((project) => project.name) ?? [] }} />
        {wrong && !wrong.field && <p class="trouble" role="alert">{wrong.text}</p>}
        <footer>
          <Command behind={() => ({ cli: command('key.create', undefined, [String(values.name ?? 'NAME'), ...flags]), curl: curl('key.create', { body }) })} />
          <span class="spring" /><button type="button" onClick={onClose}>Cancel</button><button class="primary">Make it</button>
        </footer>
      </form>
    </Dialog>
  );
}

export function KeysPage() {
  const { data, problem, reload } = useLoad(() => call('key.list'), 'keys');
  const [open, setOpen] = useState(false);
  const projects = new Map(session.get()?.projects.map((project) => [project.id, project.name]));
  const remove = async (key: Api.Key) => {
    if (!confirm(`Delete the key ${key.name}? It opens nothing from then on.`)) return;
    await call('key.delete', { path: { key: key.id } }).then(() => note(`${key.name} is deleted`), (reason: unknown) => note(textOf(reason), true));
    reload();
  };
  return (
    <div class="page">
      <header class="page-head">
        <h1>Keys</h1>
        <Command behind={() => ({ cli: command('key.list', undefined), curl: curl('key.list', {}) })} />
        <button class="primary" onClick={() => setOpen(true)}>New key</button>
      </header>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      {data && <div class="card"><table class="plain-table">
        <thead><tr><th>Name</th><th>Begins with</th><th>Role</th><th>Project</th><th>Made</th><th>Expires</th><th><span class="hidden">Actions</span></th></tr></thead>
        <tbody>{data.items.map((key) => (
          <tr key={key.id}><td>{key.name}</td><td><code>{key.prefix}</code></td><td>{key.role}</td><td>{key.project ? projects.get(key.project) ?? key.project : <span class="faint">every</span>}</td>
            <td class="faint"><Time time={key.created} /></td><td class="faint">{key.expires ? moment(key.expires) : 'never'}</td>
            <td class="num"><Command label="" behind={() => ({ cli: command('key.delete', { key: key.name }), curl: curl('key.delete', { path: { key: key.name } }) })} />
              <button class="plain" onClick={() => void remove(key)}>Delete</button></td></tr>))}</tbody>
      </table></div>}
      {open && <NewKey onClose={() => setOpen(false)} onDone={reload} />}
    </div>
  );
}
