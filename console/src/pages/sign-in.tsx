// sign-in.tsx - a key opens the console for this tab
import { useState } from 'preact/hooks';
import { call, Problem, setKey } from '../client';
import { session } from '../live';
import { textOf } from '../ui/parts';

/** What every page needs to know; throws a Problem when the key is refused. */
export async function openSession(): Promise<void> {
  const [identity, projects, version] = await Promise.all([call('key.whoami'), call('project.list'), call('system.version')]);
  session.set({ identity, projects: projects.items, version: version.version });
}

export function SignIn({ reason }: { reason?: string }) {
  const [trouble, setTrouble] = useState(reason ?? '');
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setKey(String(new FormData(event.currentTarget as HTMLFormElement).get('key')).trim());
    try {
      await openSession();
    } catch (problem) {
      setKey('');
      setTrouble(problem instanceof Problem && problem.status === 401 ? 'This key is not known here, or it has expired.' : textOf(problem));
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form class="card" onSubmit={(e) => void submit(e)}>
        <div class="brand"><Mark /> Berth</div>
        <label for="key">Key</label>
        <input id="key" name="key" type="password" required autofocus autocomplete="current-password" spellcheck={false} placeholder="berth_…" aria-describedby="key-help" />
        {trouble && <p class="trouble" role="alert">{trouble}</p>}
        <button class="primary" disabled={busy}>{busy ? 'Looking…' : 'Sign in'}</button>
        <p id="key-help" class="faint">A key is made by <code>berth key create NAME</code>. It stays in this tab and is forgotten when the tab closes.</p>
      </form>
    </main>
  );
}

export const Mark = () => (
  <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
    <path d="M7 12h18v3H7zM10 15v6M22 15v6M5.500 23c2.600 0 2.600 2 5.250 2s2.600-2 5.250-2 2.600 2 5.250 2 2.600-2 5.250-2" />
  </svg>
);
