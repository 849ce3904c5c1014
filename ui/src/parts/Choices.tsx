/** A list to choose one of: what is typed narrows it, arrows choose, Enter takes. */

import { type ReactNode, useEffect, useId, useMemo, useRef, useState } from "react";

export interface Choice {
  readonly id: string;
  readonly name: string;
  /** Said beside its name, and found by, too. */
  readonly detail?: string;
  readonly icon?: ReactNode;
  /** Keys that do the same. */
  readonly keys?: string | undefined;
  /** Why it cannot be taken: it is listed still. */
  readonly refused?: string | undefined;
  readonly run: () => void;
}

export interface ChoicesProps {
  /** Name of the field in which words are typed. */
  readonly search: string;
  /** Name of the list. */
  readonly label: string;
  /** Said where no choice has the words that were typed. */
  readonly none: string;
  readonly choices: readonly Choice[];
  readonly onTake: (choice: Choice) => void;
}

/** Those that have all words that were typed, first those whose name begins with the first. */
export function narrowed<T extends Pick<Choice, "name" | "detail">>(all: readonly T[], typed: string): readonly T[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const [first] = words;
  if (first === undefined) return all;
  const rank = ({ name }: T): number => (name.toLowerCase() === first ? 0 : name.toLowerCase().startsWith(first) ? 1 : name.toLowerCase().includes(first) ? 2 : 3);
  return all
    .filter(({ name, detail = "" }) => words.every((word) => `${name} ${detail}`.toLowerCase().includes(word)))
    .sort((one, other) => rank(one) - rank(other));
}

export function Choices({ search, label, none, choices, onTake }: ChoicesProps) {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const id = useId();
  const found = useMemo(() => narrowed(choices, typed), [choices, typed]);
  const chosen = Math.min(at, found.length - 1);
  // newer browsers return a promise
  useEffect(() => void list.current?.children[chosen]?.scrollIntoView({ block: "nearest" }), [chosen]);

  return (
    <>
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
          const choice = found[chosen];
          if (event.key === "ArrowDown") setAt(Math.min(chosen + 1, found.length - 1));
          else if (event.key === "ArrowUp") setAt(Math.max(chosen - 1, 0));
          else if (event.key !== "Enter") return;
          else if (choice) onTake(choice);
          event.preventDefault();
        }}
      />
      {found.length === 0 && <p className="empty">{none}</p>}
      <ul id={id} className="choices" role="listbox" ref={list} aria-label={label}>
        {found.map((choice, position) => (
          <li
            key={choice.id}
            id={`${id}-${position}`}
            role="option"
            aria-selected={position === chosen}
            aria-disabled={choice.refused !== undefined || undefined}
            title={choice.refused}
            onClick={() => onTake(choice)}
          >
            {choice.icon}
            <span className="choice">{choice.name}</span>
            {choice.detail && <span className="dim">{choice.detail}</span>}
            {choice.keys && <kbd>{choice.keys.replace("Mod", /Mac/.test(navigator.platform) ? "⌘" : "Ctrl")}</kbd>}
          </li>
        ))}
      </ul>
    </>
  );
}
