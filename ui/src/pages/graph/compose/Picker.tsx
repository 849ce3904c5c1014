/** A dialog to choose one of many: what is typed narrows them, arrows choose, Enter takes, Escape leaves. */

import { type ReactNode, useEffect, useId, useMemo, useRef, useState } from "react";
import { Dialog } from "../../../parts/Dialog";
import { t } from "../../../texts";

export interface Option {
  readonly id: string;
  readonly name: string;
  /** Said beside its name. */
  readonly detail?: string;
  readonly icon?: ReactNode;
  readonly run: () => void;
}

export interface PickerProps {
  readonly title: string;
  readonly search: string;
  readonly none: string;
  readonly options: readonly Option[];
  readonly onClose: () => void;
}

/** Those that have all words that were typed, first those whose name begins with the first. */
export function narrowed<T extends { readonly name: string; readonly detail?: string }>(all: readonly T[], typed: string): readonly T[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const [first] = words;
  if (first === undefined) return all;
  const rank = ({ name }: T): number => (name.toLowerCase() === first ? 0 : name.toLowerCase().startsWith(first) ? 1 : name.toLowerCase().includes(first) ? 2 : 3);
  return all
    .filter(({ name, detail = "" }) => words.every((word) => `${name} ${detail}`.toLowerCase().includes(word)))
    .sort((one, other) => rank(one) - rank(other));
}

export function Picker({ title, search, none, options, onClose }: PickerProps) {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const id = useId();
  const found = useMemo(() => narrowed(options, typed), [options, typed]);
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => void list.current?.children[chosen]?.scrollIntoView({ block: "nearest" }), [chosen]);

  const run = (position: number) => {
    const option = found[position];
    if (!option) return;
    onClose();
    // the focus has gone back by then
    setTimeout(option.run);
  };

  return (
    <Dialog title={title} onClose={onClose} className="picker">
      <input
        type="text"
        role="combobox"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={found.length ? `${id}-${chosen}` : undefined}
        aria-label={search}
        placeholder={search}
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setAt(Math.min(chosen + 1, found.length - 1));
          else if (event.key === "ArrowUp") setAt(Math.max(chosen - 1, 0));
          else if (event.key === "Enter") run(chosen);
          else return;
          event.preventDefault();
        }}
      />
      {found.length === 0 ? <p className="dim">{none}</p> : null}
      <ul id={id} role="listbox" ref={list} aria-label={t.compose.choices}>
        {found.map((option, position) => (
          <li key={option.id} id={`${id}-${position}`} role="option" aria-selected={position === chosen} onClick={() => run(position)}>
            {option.icon}
            <span className="picker-name">{option.name}</span>
            {option.detail && <span className="dim">{option.detail}</span>}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
