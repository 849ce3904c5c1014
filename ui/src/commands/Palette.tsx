import { useEffect, useId, useMemo, useRef, useState } from "react";
import { notify } from "../parts/Notices";
import { t } from "../texts";
import { useAllCommands } from "./commands";

/** All commands with a search: arrows choose, Enter runs, Escape closes. */
export function Palette({ onClose }: { readonly onClose: () => void }) {
  const all = useAllCommands();
  const [search, setSearch] = useState("");
  const [at, setAt] = useState(0);
  const dialog = useRef<HTMLDialogElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const id = useId();
  const found = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    return all.filter((each) => words.every((word) => each.name.toLowerCase().includes(word)));
  }, [all, search]);
  const chosen = Math.min(at, found.length - 1);

  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  useEffect(() => {
    // newer browsers return a promise
    void list.current?.children[chosen]?.scrollIntoView({ block: "nearest" });
  }, [chosen]);

  const run = (position: number) => {
    const command = found[position];
    if (!command) return;
    onClose();
    if (command.refused !== undefined) notify({ text: command.refused });
    else setTimeout(command.run);
  };

  return (
    <dialog
      ref={dialog}
      className="palette"
      aria-label={t.commands.title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <input
        type="text"
        role="combobox"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={found.length ? `${id}-${chosen}` : undefined}
        aria-label={t.commands.search}
        placeholder={t.commands.search}
        value={search}
        onChange={(event) => {
          setSearch(event.target.value);
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
      {found.length === 0 && <p className="empty">{t.commands.none}</p>}
      <ul id={id} role="listbox" ref={list} aria-label={t.commands.title}>
        {found.map((command, position) => (
          <li
            key={command.id}
            id={`${id}-${position}`}
            role="option"
            aria-selected={position === chosen}
            aria-disabled={command.refused !== undefined || undefined}
            title={command.refused}
            onClick={() => run(position)}
          >
            <span>{command.name}</span>
            {command.keys && <kbd>{command.keys.replace("Mod", /Mac/.test(navigator.platform) ? "⌘" : "Ctrl")}</kbd>}
          </li>
        ))}
      </ul>
    </dialog>
  );
}
