import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import { Button } from "./Button";
import { notify } from "./Notices";

export interface Item {
  readonly name: string;
  readonly icon?: ReactNode;
  readonly refused?: string | undefined;
  /** One of both: what it does, or where it leads. */
  readonly run?: () => void;
  readonly href?: string;
}

/** A button that opens a list of things to do; arrows, Home, End and Escape work as in menus of the system. */
export function Menu({ name, icon, items, text }: { readonly name: string; readonly icon: ReactNode; readonly items: readonly Item[]; readonly text?: string }) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();

  useEffect(() => {
    if (!isOpen) return undefined;
    box.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus();
    const away = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, [isOpen]);

  const close = () => {
    setOpen(false);
    button.current?.focus();
  };

  return (
    <div
      className="menu"
      ref={box}
      onKeyDown={(event) => {
        if (!isOpen) return;
        const all = [...(box.current?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])];
        const at = all.indexOf(document.activeElement as HTMLElement);
        const next = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
        if (event.key === "Escape") close();
        else if (event.key === "Tab") return setOpen(false);
        else if (next === undefined) return;
        else all[next % all.length]?.focus();
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      <Button
        ref={button}
        kind="plain"
        {...(text === undefined ? { name } : { "aria-label": name, children: text })}
        icon={icon}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        onClick={() => setOpen(!isOpen)}
      />
      {isOpen && (
        <div role="menu" id={id} aria-label={name}>
          {items.map((item) =>
            item.href === undefined ? (
              <button
                key={item.name}
                type="button"
                role="menuitem"
                tabIndex={-1}
                aria-disabled={item.refused !== undefined || undefined}
                title={item.refused}
                onClick={() => {
                  close();
                  if (item.refused === undefined) item.run?.();
                  else notify({ text: item.refused });
                }}
              >
                {item.icon}
                {item.name}
              </button>
            ) : (
              <a key={item.name} role="menuitem" tabIndex={-1} href={item.href} onClick={() => setOpen(false)}>
                {item.icon}
                {item.name}
              </a>
            ),
          )}
        </div>
      )}
    </div>
  );
}
