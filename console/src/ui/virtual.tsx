// virtual.tsx - lists of any length: only the rows in sight exist
import type { ComponentChildren, ComponentProps, RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Browsers give up somewhere above ten million pixels; beyond this, scrolling is scaled. */
export const MAX_HEIGHT = 8_000_000;

export interface Span { first: number; last: number; offset: number }

/** Which rows are in sight, and where the first lies, for a box that is scrolled to TOP. */
export function spanOf(count: number, rowHeight: number, top: number, height: number, spare = 6): Span {
  const full = count * rowHeight;
  const shown = Math.min(full, MAX_HEIGHT);
  const scale = shown > height && full > shown ? (full - height) / (shown - height) : 1;
  const scrolled = Math.max(0, Math.min(top, shown - height)); // the box may have padding, which scrolls too
  const at = scrolled * scale;
  const first = Math.max(0, Math.floor(at / rowHeight) - spare);
  const last = Math.min(count, Math.ceil((at + height) / rowHeight) + spare);
  return { first, last, offset: scrolled - at + first * rowHeight };
}

/** Where to scroll so that row ROW comes to the middle of the box. */
export function topOf(row: number, count: number, rowHeight: number, height: number): number {
  const full = count * rowHeight;
  const shown = Math.min(full, MAX_HEIGHT);
  const at = Math.max(0, Math.min(full - height, row * rowHeight - height / 2 + rowHeight / 2));
  return full > shown && shown > height ? at * (shown - height) / (full - height) : at;
}

interface Props {
  count: number;
  rowHeight: number;
  row: (index: number) => ComponentChildren;
  onSpan?: (first: number, last: number) => void;
  box?: RefObject<HTMLDivElement | null>;
  class?: string;
  attributes?: ComponentProps<'div'>;
  onScroll?: (box: HTMLDivElement) => void;
}

export function Virtual(props: Props) {
  const own = useRef<HTMLDivElement>(null);
  const box = props.box ?? own;
  const [view, setView] = useState({ top: 0, height: 600 });
  const { count, rowHeight } = props;
  const look = () => {
    const element = box.current;
    if (!element) return;
    const { scrollTop: top, clientHeight: height } = element;
    setView((old) => old.top === top && old.height === height ? old : { top, height });
  };
  useLayoutEffect(() => {
    look();
    const observer = new ResizeObserver(look);
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  const span = spanOf(count, rowHeight, view.top, view.height);
  useEffect(() => props.onSpan?.(span.first, span.last), [span.first, span.last, props.onSpan]);
  const rows = [];
  for (let i = span.first; i < span.last; i++) rows.push(props.row(i));
  return (
    <div ref={box} class={`virtual ${props.class ?? ''}`} {...props.attributes}
      onScroll={() => { look(); props.onScroll?.(box.current!); }}>
      <div class="virtual-full" style={{ height: `${Math.min(count * rowHeight, MAX_HEIGHT)}px` }}>
        <div class="virtual-seen" style={{ transform: `translateY(${span.offset}px)` }}>{rows}</div>
      </div>
    </div>
  );
}
