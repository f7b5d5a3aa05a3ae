// images.tsx - container images of a project: what is here, what is coming, logins of registries
import { useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { call } from '../client';
import { command, curl } from '../cli';
import { bytes } from '../format';
import { useChanges, useLoad } from '../load';
import { may } from '../live';
import { href } from '../route';
import { Command, Dialog, Empty, note, textOf, Time, Trouble } from '../ui/parts';

const look = { pulling: 'state-running', ready: 'state-succeeded', failed: 'state-failed' };

function State({ image }: { image: Api.Image }) {
  const part = image.total ? Math.round(100 * (image.done ?? 0) / image.total) : undefined;
  return (
    <>
      <span class={`state ${look[image.state]}`}><i aria-hidden="true" />{image.state}{image.state === 'pulling' && part !== undefined && ` ${part} %`}</span>
      {image.state === 'pulling' && part !== undefined && <div class="meter-bar" role="progressbar" aria-label={`Pull of ${image.name}`} aria-valuemin={0} aria-valuemax={100} aria-valuenow={part}><span class="meter-used" style={{ width: `${part}%` }} /></div>}
    </>
  );
}

function Pull({ project, onClose, onDone }: { project: string; onClose: () => void; onDone: () => void }) {
  const [reference, setReference] = useState('');
  const [trouble, setTrouble] = useState('');
  const input = { path: { project }, body: { reference } };
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      await call('image.pull', input);
      onDone();
      onClose();
    } catch (reason) {
      setTrouble(textOf(reason));
    }
  };
  return (
    <Dialog title="Pull an image" onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        <label class="field">Reference <input required autofocus spellcheck={false} placeholder="python:3.12" value={reference} onInput={(e) => setReference(e.currentTarget.value.trim())} /></label>
        <p class="help">A job that names an image which is not here pulls it by itself.</p>
        {trouble && <p class="trouble" role="alert">{trouble}</p>}
        <footer><Command behind={() => ({ cli: command('image.pull', input.path, [reference || 'REFERENCE']), curl: curl('image.pull', input) })} />
          <span class="spring" /><button type="button" onClick={onClose}>Cancel</button><button class="primary">Pull</button></footer>
      </form>
    </Dialog>
  );
}

function Login({ project, onClose }: { project: string; onClose: () => void }) {
  const [registry, setRegistry] = useState('');
  const [username, setUsername] = useState('');
  const [trouble, setTrouble] = useState('');
  const path = { project, registry };
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const password = String(new FormData(event.currentTarget as HTMLFormElement).get('password'));
    try {
      await call('image.login', { path, body: { username, password } });
      note(`the login for ${registry} is kept, sealed`);
      onClose();
    } catch (reason) {
      setTrouble(textOf(reason));
    }
  };
  return (
    <Dialog title="Log in to a registry" onClose={onClose}>
      <form onSubmit={(e) => void submit(e)}>
        <label class="field">Registry <input required autofocus spellcheck={false} placeholder="registry.example" value={registry} onInput={(e) => setRegistry(e.currentTarget.value.trim())} /></label>
        <label class="field">User <input required autocomplete="off" value={username} onInput={(e) => setUsername(e.currentTarget.value)} /></label>
        <label class="field">Password or token <input name="password" type="password" required autocomplete="off" /></label>
        {trouble && <p class="trouble" role="alert">{trouble}</p>}
        <footer><Command behind={() => ({ cli: command('image.login', path, ['--username', username || 'USER', '--password-stdin']), curl: curl('image.login', { path, body: { username, password: '…' } }) })} />
          <span class="spring" /><button type="button" onClick={onClose}>Cancel</button><button class="primary">Log in</button></footer>
      </form>
    </Dialog>
  );
}

export function ImagesPage({ project }: { project: string }) {
  const input = { path: { project } };
  const { data, problem, reload } = useLoad(() => call('image.list', input), project);
  const [open, setOpen] = useState<'pull' | 'login' | null>(null);
  useChanges(project, reload, data?.items.some((image) => image.state === 'pulling') ? 1000 : 15_000);
  const remove = async (image: Api.Image) => {
    if (!confirm(`Delete the image ${image.name}? Its layers go when nothing uses them.`)) return;
    await call('image.delete', { path: { project, image: image.id } }).then(() => note('deleted'), (reason: unknown) => note(textOf(reason), true));
    reload();
  };
  return (
    <div class="page">
      <header class="page-head">
        <h1>Images</h1>
        <Command behind={() => ({ cli: command('image.list', input.path), curl: curl('image.list', input) })} />
        {may('member') && <><button onClick={() => setOpen('login')}>Registry login</button><button class="primary" onClick={() => setOpen('pull')}>Pull an image</button></>}
      </header>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      {data && (data.items.length === 0 ? <Empty title="No images"><p>Jobs without one use <code>host</code>: this machine's own programs, read-only.</p></Empty> : (
        <div class="card"><table class="plain-table">
          <thead><tr><th>Reference</th><th>State</th><th>Digest</th><th class="num">Layers</th><th class="num">Size</th><th class="num">Changed</th><th><span class="hidden">Actions</span></th></tr></thead>
          <tbody>{data.items.map((image) => (
            <tr key={image.id}><td class="wrap"><code class="wrap">{image.name}</code>{image.reason && <div class="help bad">{image.reason}</div>}{image.state === 'pulling' && image.progress && <div class="help">{image.progress}</div>}</td>
              <td><State image={image} /></td><td class="mono faint" title={image.digest}>{image.digest?.replace(/^sha256:/, '').slice(0, 12)}</td><td class="num">{image.layers || ''}</td><td class="num">{image.size ? bytes(image.size) : ''}</td>
              <td class="num faint"><Time time={image.updated} /></td>
              <td class="num">{may('member') && <>
                <a class="button" href={`${href('p', project, 'new-job')}?image=${encodeURIComponent(image.name)}`}>Use</a>
                <Command label="" behind={() => ({ cli: command('image.delete', { project, image: image.id }), curl: curl('image.delete', { path: { project, image: image.id } }) })} />
                <button class="plain" onClick={() => void remove(image)}>Delete</button></>}</td></tr>))}</tbody>
        </table></div>))}
      {open === 'pull' && <Pull project={project} onClose={() => setOpen(null)} onDone={reload} />}
      {open === 'login' && <Login project={project} onClose={() => setOpen(null)} />}
    </div>
  );
}
