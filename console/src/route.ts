// route.ts - the address of a page, and back
import { useEffect, useState } from 'preact/hooks';

const TOP = '/console/';

/** The decoded segments below /console/. */
export const segments = (path: string): string[] =>
  path.slice(TOP.length).split('/').filter(Boolean).map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });

export const href = (...parts: string[]): string => TOP + parts.map(encodeURIComponent).join('/');

const listeners = new Set<() => void>();
const changed = () => listeners.forEach((listener) => listener());
addEventListener('popstate', changed);

export function go(to: string, replace = false): void {
  if (to !== location.pathname + location.search) history[replace ? 'replaceState' : 'pushState'](null, '', to);
  changed();
}

/** Links within the console do not load the page anew. */
document.addEventListener('click', (event) => {
  const link = (event.target as Element | null)?.closest?.('a[href]') as HTMLAnchorElement | null;
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.hasAttribute('download') || link.origin !== location.origin || !link.pathname.startsWith(TOP)) return;
  event.preventDefault();
  go(link.pathname + link.search);
});

export function useLocation(): { parts: string[]; query: URLSearchParams } {
  const [at, set] = useState(location.pathname + location.search);
  useEffect(() => {
    const listener = () => set(location.pathname + location.search);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  const [path = '', query = ''] = at.split('?');
  return { parts: segments(path), query: new URLSearchParams(query) };
}

/** Change parts of the query in place; an empty value removes. */
export function setQuery(changes: Record<string, string>): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ''), true);
}
