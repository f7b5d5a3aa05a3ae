// main.tsx - the frame around the pages
import { render, type ComponentType } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import './style.css';
import { hasKey, Problem, setKey, whenRefused } from './client';
import { link, may, session, useEvents, useStore, type Session } from './live';
import { JobPage } from './pages/job';
import { JobsPage } from './pages/jobs';
import { Mark, openSession, SignIn } from './pages/sign-in';
import { go, href, useLocation } from './route';
import { Notes, textOf, Trouble } from './ui/parts';

const THEME = 'berth.theme';

function useTheme(): [string, () => void] {
  const [theme, set] = useState(localStorage.getItem(THEME) ?? '');
  useEffect(() => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  }, [theme]);
  const dark = theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  return [dark ? 'dark' : 'light', () => {
    const next = dark ? 'light' : 'dark';
    localStorage.setItem(THEME, next);
    set(next);
  }];
}

function signOut(): void {
  setKey('');
  session.set(null);
}

/** The frame keeps the stream of the project's events open on every page. */
const NOBODY = { event: () => {}, open: () => {} };
const LINK = { connecting: 'connecting', live: 'live', lost: 'connection lost, trying again' };

type Page = ComponentType<{ project: string }>;
type Chunk = () => Promise<Page>;

/** Pages that come when they are first opened. */
const QueuePage: Chunk = () => import('./pages/queue').then((m) => m.QueuePage);
const DatasetsPage: Chunk = () => import('./pages/datasets').then((m) => m.DatasetsPage);
const ImagesPage: Chunk = () => import('./pages/images').then((m) => m.ImagesPage);
const MachinesPage: Chunk = () => import('./pages/machines').then((m) => m.MachinesPage);
const SecretsPage: Chunk = () => import('./pages/secrets').then((m) => m.SecretsPage);
const NewJobPage: Chunk = () => import('./pages/new-job').then((m) => m.NewJobPage);
const ComparePage: Chunk = () => import('./pages/compare').then((m) => m.ComparePage);
const KeysPage: Chunk = () => import('./pages/keys').then((m) => m.KeysPage);

function Later({ page, project }: { page: Chunk; project: string }) {
  const [Found, set] = useState<Page | null>(null);
  const [trouble, setTrouble] = useState<unknown>(null);
  useEffect(() => {
    page().then((found) => set(() => found), setTrouble);
  }, [page]);
  if (trouble) return <div class="page"><Trouble reason="This part of the console is not there any more: the server has been replaced." again={() => window.location.reload()} /></div>;
  return Found && <Found project={project} />;
}

function Frame({ here, parts }: { here: Session; parts: string[] }) {
  const [theme, toggle] = useTheme();
  const state = useStore(link);
  const last = useRef(here.projects[0]?.name ?? '');
  const project = parts[0] === 'p' ? parts[1] ?? '' : last.current;
  last.current = project;
  useEvents(project, NOBODY);
  const at = parts[0] === 'p' ? parts[2] ?? 'jobs' : parts[0] ?? '';
  const places: [string, string, string[]][] = [
    ['Jobs', href('p', project, 'jobs'), ['jobs', 'new-job', 'compare']],
    ['Queue', href('p', project, 'queue'), ['queue']],
    ['Datasets', href('p', project, 'datasets'), ['datasets']],
    ['Images', href('p', project, 'images'), ['images']],
    ['Machines', href('machines'), ['machines']],
    ['Secrets', href('p', project, 'secrets'), ['secrets']],
    ...(may('admin', true) ? [['Keys', href('keys'), ['keys']] as [string, string, string[]]] : []),
  ];
  useEffect(() => { document.title = `${at === 'jobs' && parts[3] ? 'Job' : places.find(([, , ids]) => ids.includes(at))?.[0] ?? 'Berth'} · ${project} · Berth`; }, [at, project, parts[3]]);
  return (
    <div class="frame">
      <a class="skip" href="#main">To the content</a>
      <nav class="side" aria-label="Main">
        <a class="brand" href={href('p', project, 'jobs')}><Mark /> Berth</a>
        <label class="project"><span class="label">Project</span>
          <select value={project} onChange={(e) => go(href('p', e.currentTarget.value, 'jobs'))}>
            {here.projects.map((one) => <option key={one.id} value={one.name}>{one.name}</option>)}
          </select>
        </label>
        <ul>{places.map(([name, to, ids]) => <li key={name}><a href={to} aria-current={ids.includes(at) ? 'page' : undefined}>{name}</a></li>)}</ul>
        <span class="spring" />
        <div class="side-foot">
          <span class={`link link-${state}`} role="status"><i aria-hidden="true" />{LINK[state]}</span>
          <span class="faint" title={`role ${here.identity.role}`}>{here.identity.actor.replace(/^key:/, '')} · {here.identity.role}</span>
          <div class="side-buttons">
            <button class="plain" onClick={toggle} aria-label={`Use ${theme === 'dark' ? 'light' : 'dark'} colours`}>{theme === 'dark' ? 'Light' : 'Dark'}</button>
            <button class="plain" onClick={signOut}>Sign out</button>
          </div>
          <span class="faint version">{here.version}</span>
        </div>
      </nav>
      <main id="main" tabIndex={-1}><Content parts={parts} project={project} at={at} /></main>
    </div>
  );
}

function Content({ parts, project, at }: { parts: string[]; project: string; at: string }) {
  useEffect(() => { if (parts.length === 0) go(href('p', project, 'jobs'), true); }, [parts.length, project]);
  if (!project) return <div class="page"><Trouble reason={new Problem(0, 'this key sees no project')} /></div>;
  if (parts.length === 0) return null;
  if (at === 'jobs' && parts[3]) return <JobPage key={parts[3]} project={project} id={parts[3]} />;
  if (at === 'jobs') return <JobsPage key={project} project={project} />;
  const page = { queue: QueuePage, datasets: DatasetsPage, images: ImagesPage, machines: MachinesPage, secrets: SecretsPage, 'new-job': NewJobPage, compare: ComparePage, keys: KeysPage }[at];
  if (page) return <Later key={`${at} ${project}`} page={page} project={project} />;
  return <div class="page"><Trouble reason={new Problem(404, 'there is no such page')} /></div>;
}

function App() {
  const here = useStore(session);
  const { parts } = useLocation();
  const [trouble, setTrouble] = useState<unknown>(null);
  const [busy, setBusy] = useState(hasKey());
  const open = () => {
    setTrouble(null);
    setBusy(true);
    openSession().catch((reason: unknown) => {
      if (reason instanceof Problem && reason.status === 401) signOut();
      else setTrouble(reason);
    }).finally(() => setBusy(false));
  };
  useEffect(() => {
    whenRefused(signOut);
    if (hasKey()) open();
  }, []);
  if (here) return <><Frame here={here} parts={parts} /><Notes /></>;
  if (trouble) return <main class="sign-in"><Trouble reason={textOf(trouble)} again={open} /></main>;
  return busy ? null : <SignIn />;
}

render(<App />, document.getElementById('app')!);
