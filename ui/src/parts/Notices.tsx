/** Short messages at the edge of the page: what was done, with a way back where there is one, or what went wrong. */

import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { t } from "../texts";

export interface Notice {
  readonly text: string;
  readonly kind?: "ok" | "bad";
  readonly action?: { readonly name: string; readonly run: () => void };
  /** Milliseconds until it goes by itself; what went wrong stays until it is closed. */
  readonly staysMs?: number;
}

const STAYS_MS = 6000;
const MOST = 4;

interface Shown extends Notice {
  readonly id: number;
}

let shown: readonly Shown[] = [];
let last = 0;
const listeners = new Set<() => void>();

function show(next: readonly Shown[]): void {
  shown = next;
  for (const listener of listeners) listener();
}

/** Show a message; the function that is returned takes it away. */
export function notify(notice: Notice): () => void {
  const id = ++last;
  const close = () => show(shown.filter((each) => each.id !== id));
  show([...shown.filter((each) => each.text !== notice.text), { ...notice, id }].slice(-MOST));
  if (notice.kind !== "bad") setTimeout(close, notice.staysMs ?? STAYS_MS);
  return close;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function Notices() {
  const all = useSyncExternalStore(subscribe, () => shown);
  return (
    <div className="notices" role="status" aria-live="polite">
      {all.map((notice) => (
        <div key={notice.id} className={`notice ${notice.kind ?? ""}`}>
          <div>{notice.text}</div>
          {notice.action && (
            <button
              type="button"
              className="button plain"
              onClick={() => {
                notice.action?.run();
                show(shown.filter((each) => each.id !== notice.id));
              }}
            >
              {notice.action.name}
            </button>
          )}
          <button type="button" className="button plain icon" aria-label={t.parts.close} onClick={() => show(shown.filter((each) => each.id !== notice.id))}>
            <X size={16} aria-hidden />
          </button>
        </div>
      ))}
    </div>
  );
}
