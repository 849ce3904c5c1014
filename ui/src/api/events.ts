/** What happens on the node, as it happens: one stream for the whole page, closed while nobody looks at it. */

import { ApiError, get, query } from "./http";

export interface NodeEvent {
  readonly kind: string;
  readonly data: Record<string, unknown>;
}

type Listener = (event: NodeEvent) => void;
/** Idle: no page that is seen wants to hear of anything. */
export type Line = "idle" | "connecting" | "open" | "away";

interface Wish {
  readonly kinds: readonly string[];
  readonly graph: string | undefined;
  readonly listener: Listener;
}

/** Waits in milliseconds before a stream that broke off is opened again, the last one from then on. */
const AGAIN_MS = [500, 1000, 2000, 5000];

const wishes = new Set<Wish>();
const watchers = new Set<(line: Line) => void>();
let source: EventSource | null = null;
let address = "";
let line: Line = "idle";
let failures = 0;
let timer = 0;

function tell(next: Line): void {
  line = next;
  for (const watcher of watchers) watcher(line);
}

/** The kinds that somebody wants, and the graph if all want the same one. */
function wanted(): string {
  const kinds = [...new Set([...wishes].flatMap((wish) => wish.kinds))].sort();
  const graphs = new Set([...wishes].map((wish) => wish.graph));
  const [only] = graphs;
  return `events${query({ kind: kinds.join(","), graph: graphs.size === 1 ? only : undefined })}`;
}

function close(): void {
  clearTimeout(timer);
  source?.close();
  source = null;
  address = "";
}

function refresh(): void {
  if (wishes.size === 0 || document.hidden) {
    close();
    return tell("idle");
  }
  const next = wanted();
  if (source && next === address) return;
  close();
  address = next;
  tell("connecting");
  const opened = new EventSource(next);
  source = opened;
  opened.onopen = () => {
    failures = 0;
    tell("open");
  };
  opened.onerror = () => {
    opened.close();
    if (source !== opened) return;
    source = null;
    address = "";
    const again = () => {
      tell("away");
      timer = window.setTimeout(refresh, AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)]);
    };
    // a stream does not tell why it ended; of a session that is over the answer tells everybody
    get("session", { isUnasked: true }).then(again, (error: unknown) => (error instanceof ApiError && error.status === 401 ? tell("idle") : again()));
  };
  for (const kind of new Set([...wishes].flatMap((wish) => wish.kinds))) {
    opened.addEventListener(kind, (message) => {
      const event = { kind, data: JSON.parse((message as MessageEvent<string>).data) as Record<string, unknown> };
      for (const wish of [...wishes])
        if (wish.kinds.includes(kind) && (wish.graph === undefined || event.data["graph"] === undefined || event.data["graph"] === wish.graph))
          wish.listener(event);
    });
  }
}

/** Hear of events of these kinds, of one graph or of all, until the function that is returned is called. */
export function listen(kinds: readonly string[], listener: Listener, graph?: string): () => void {
  const wish: Wish = { kinds, graph, listener };
  wishes.add(wish);
  // all that a page wishes comes in one turn
  queueMicrotask(refresh);
  return () => {
    wishes.delete(wish);
    queueMicrotask(refresh);
  };
}

/** Hear whether the stream stands, until the function that is returned is called. */
export function watchLine(watcher: (line: Line) => void): () => void {
  watchers.add(watcher);
  watcher(line);
  return () => watchers.delete(watcher);
}

document.addEventListener("visibilitychange", refresh);
window.addEventListener("pagehide", close);
