/** The components by kind, with a search: to be dragged onto the canvas or onto a wire, or added by Enter or a tap. */

import { type KeyboardEvent, type PointerEvent, type Ref, useMemo, useRef, useState } from "react";
import { createPortal } from "react-dom";
import type { Catalogue, Spec } from "../../../model/ports";
import { narrowed } from "../../../parts/Choices";
import { type Family, Icon, familyOf } from "../../../parts/Icon";
import { notify } from "../../../parts/Notices";
import { t } from "../../../texts";
import type { View } from "./View";

const FAMILIES: readonly Family[] = ["composite", "source", "parser", "transform", "routing", "publisher"];
/** The pointer has to go so far before something is dragged rather than chosen, in pixels. */
const DRAG_AFTER = 6;

export interface ShelfProps {
  readonly specs: Catalogue;
  readonly refused: string | undefined;
  readonly view: { readonly current: View | null };
  readonly search: Ref<HTMLInputElement>;
  /** Add a component at a free place. */
  readonly onAdd: (component: string) => void;
  /** It was let go at a point of the window. */
  readonly onDrop: (component: string, x: number, y: number) => void;
}

interface Carried {
  readonly spec: Spec;
  readonly x: number;
  readonly y: number;
}

interface Entry {
  readonly name: string;
  readonly detail: string;
  readonly spec: Spec;
}

/** The first sentence of what is said of a component. */
export function gist(spec: Spec): string {
  const text = (spec.doc.split(/\n\s*\n/)[0] ?? "").replace(/\s+/g, " ").replace(/``/g, "");
  return /^.*?[.!?](?=\s|$)/.exec(text)?.[0] ?? text;
}

export function Shelf({ specs, refused, view, search, onAdd, onDrop }: ShelfProps) {
  const [typed, setTyped] = useState("");
  const [carried, setCarried] = useState<Carried | null>(null);
  const start = useRef<{ x: number; y: number; isDrag: boolean } | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const marked = useRef<Element | null>(null);
  const all = useMemo(
    () =>
      Object.values(specs)
        .filter((spec) => !spec.error)
        .map((spec): Entry => ({ name: spec.name, detail: `${gist(spec)} ${(spec.tags ?? []).join(" ")}`, spec })),
    [specs],
  );
  const found = useMemo(() => narrowed(all, typed), [all, typed]);
  const groups = typed
    ? [{ title: t.compose.found(found.length), entries: found }]
    : FAMILIES.map((family) => ({ title: t.compose.families[family], entries: found.filter(({ spec }) => familyOf(spec) === family) })).filter(({ entries }) => entries.length);

  const items = () => [...(box.current?.querySelectorAll<HTMLElement>(".shelf-item") ?? [])];
  const mark = (next: Element | null) => {
    if (marked.current === next) return;
    marked.current?.removeAttribute("data-drop");
    next?.setAttribute("data-drop", "yes");
    marked.current = next;
  };
  const onMove = (spec: Spec) => (event: PointerEvent<HTMLElement>) => {
    const from = start.current;
    if (!from) return;
    if (!from.isDrag && Math.hypot(event.clientX - from.x, event.clientY - from.y) < DRAG_AFTER) return;
    from.isDrag = true;
    setCarried({ spec, x: event.clientX, y: event.clientY });
    const wire = view.current?.wireAt(event.clientX, event.clientY);
    mark(wire === undefined ? null : document.querySelector(`.compose .react-flow__edge[data-id="${CSS.escape(wire)}"]`));
  };
  const end = () => {
    start.current = null;
    setCarried(null);
    mark(null);
  };
  const onKeys = (event: KeyboardEvent<HTMLElement>) => {
    const list = items();
    const at = list.indexOf(document.activeElement as HTMLElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    if (next < 0) box.current?.querySelector("input")?.focus();
    else list[next]?.focus();
  };

  return (
    <aside className="shelf" aria-label={t.compose.shelf} ref={box} onKeyDown={onKeys}>
      <input
        type="search"
        ref={search}
        aria-label={t.compose.searchComponents}
        placeholder={`${t.compose.searchComponents}  /`}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") return void (typed ? setTyped("") : event.currentTarget.blur());
          const [first] = found;
          if (event.key !== "Enter" || !first || !typed.trim()) return;
          event.preventDefault();
          if (refused !== undefined) return void notify({ text: refused });
          setTyped("");
          onAdd(first.name);
        }}
      />
      <div className="shelf-list">
        {found.length === 0 && <p className="dim">{t.compose.noComponent}</p>}
        {groups.map(({ title, entries }) => (
          <section key={title} aria-label={title}>
            <h2>{title}</h2>
            {entries.map(({ name, spec }) => (
              <button
                key={name}
                type="button"
                className="shelf-item"
                aria-disabled={refused !== undefined || undefined}
                title={refused ?? gist(spec)}
                onPointerDown={(event) => {
                  if (event.button !== 0 || refused !== undefined) return;
                  start.current = { x: event.clientX, y: event.clientY, isDrag: false };
                  event.currentTarget.setPointerCapture(event.pointerId);
                }}
                onPointerMove={onMove(spec)}
                onPointerUp={(event) => {
                  const isDrag = start.current?.isDrag;
                  if (isDrag) {
                    setCarried(null);
                    // what is carried must not be what is under the pointer
                    const { clientX: x, clientY: y } = event;
                    requestAnimationFrame(() => onDrop(name, x, y));
                  }
                  end();
                  if (isDrag) event.currentTarget.dataset["dragged"] = "yes";
                }}
                onPointerCancel={end}
                onClick={(event) => {
                  if (event.currentTarget.dataset["dragged"]) return void delete event.currentTarget.dataset["dragged"];
                  if (refused !== undefined) return void notify({ text: refused });
                  onAdd(name);
                }}
              >
                <Icon spec={spec} />
                <span>
                  <span className="shelf-name">{name}</span>
                  <span className="shelf-gist">{gist(spec)}</span>
                </span>
              </button>
            ))}
          </section>
        ))}
      </div>
      {carried &&
        createPortal(
          <div className="carried" style={{ transform: `translate(${carried.x + 8}px, ${carried.y + 8}px)` }}>
            <Icon spec={carried.spec} /> {carried.spec.name}
          </div>,
          document.body,
        )}
    </aside>
  );
}
