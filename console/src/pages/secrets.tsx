// secrets.tsx - values that jobs may use; they go in and never come out
import { useState } from 'preact/hooks';
import { call } from '../client';
import { command, curl } from '../cli';
import { may } from '../live';
import { useLoad } from '../load';
import { Command, Dialog, Empty, note, textOf, Time, Trouble } from '../ui/parts';

function SetSecret({ project, name, onClose, onDone }: { project: string; name: string; onClose: () => void; onDone: () => void }) {
  const [trouble, setTrouble] = useState('');
  const [typed, setTyped] = useState(name);
  const path = { project, secret: typed };
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const value = String(new FormData(event.currentTarget as HTMLFormElement).get('value'));
    try {
      await call('secret.set', { path, body: { value } });
      note(`${typed} is set`);
      onDone();
      onClose();
    } catch (reason) {
      setTrouble(textOf(reason));
    }
  };
  return (
    <Dialog title={name ? `A new value for ${name}` : 'New secret'} onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        {!name && <label class="field">Name <input required autofocus value={typed} pattern="[A-Za-z_][A-Za-z0-9_]*" onInput={(e) => setTyped(e.currentTarget.value)} /></label>}
        <label class="field">Value <textarea name="value" required rows={3} spellcheck={false} autocomplete="off" /></label>
        <p class="help">A job uses it as <code>secret:{typed || 'NAME'}</code> in its environment.</p>
        {trouble && <p class="trouble" role="alert">{trouble}</p>}
        <footer>
          <Command behind={() => ({ cli: command('secret.set', path), curl: curl('secret.set', { path, body: { value: '…' } }) })} />
          <span class="spring" /><button type="button" onClick={onClose}>Cancel</button><button class="primary">Set</button>
        </footer>
      </form>
    </Dialog>
  );
}

export function SecretsPage({ project }: { project: string }) {
  const input = { path: { project } };
  const { data, problem, reload } = useLoad(() => call('secret.list', input), project);
  const [open, setOpen] = useState<string | null>(null);
  const remove = async (secret: string) => {
    if (!confirm(`Delete the secret ${secret}? Jobs that name it will not start.`)) return;
    await call('secret.delete', { path: { project, secret } }).then(() => note(`${secret} is deleted`), (reason: unknown) => note(textOf(reason), true));
    reload();
  };
  return (
    <div class="page">
      <header class="page-head">
        <h1>Secrets</h1>
        <Command behind={() => ({ cli: command('secret.list', input.path), curl: curl('secret.list', input) })} />
        {may('member') && <button class="primary" onClick={() => setOpen('')}>New secret</button>}
      </header>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      {data && (data.items.length === 0 ? <Empty title="No secrets"><p>Passwords and tokens that jobs need. Nobody can read them back.</p></Empty> : (
        <div class="card"><table class="plain-table"><thead><tr><th>Name</th><th>Set</th><th class="num"><span class="hidden">Actions</span></th></tr></thead>
          <tbody>{data.items.map((secret) => (
            <tr key={secret.id}><td><code>{secret.name}</code></td><td class="faint"><Time time={secret.updated ?? secret.created} /></td>
              <td class="num">{may('member') && <>
                <Command label="" behind={() => ({ cli: command('secret.delete', { project, secret: secret.name }), curl: curl('secret.delete', { path: { project, secret: secret.name } }) })} />
                <button class="plain" onClick={() => setOpen(secret.name)}>New value</button>
                <button class="plain" onClick={() => void remove(secret.name)}>Delete</button></>}</td></tr>))}</tbody></table></div>
      ))}
      {open !== null && <SetSecret project={project} name={open} onClose={() => setOpen(null)} onDone={reload} />}
    </div>
  );
}
