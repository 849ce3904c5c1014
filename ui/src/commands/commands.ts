/** Everything that can be done now, by name and shortcut: for the palette, and for the keyboard. */

import { useEffect, useSyncExternalStore } from "react";

export interface Command {
  readonly id: string;
  readonly name: string;
  /** Keys as `Mod+K`, `/`, `Shift+D`; Mod is Ctrl, on a Mac also the command key. */
  readonly keys?: string;
  readonly refused?: string | undefined;
  readonly run: () => void;
}

let groups: readonly (readonly Command[])[] = [];
let all: readonly Command[] = [];
const listeners = new Set<() => void>();

function set(next: readonly (readonly Command[])[]): void {
  groups = next;
  // the newest first: of two for the same keys, that of the inner part is meant
  all = [...groups].reverse().flat();
  for (const listener of listeners) listener();
}

/** Offer commands while a part is there. The list must stay the same between renders that change nothing (useMemo). */
export function useCommands(commands: readonly Command[]): void {
  useEffect(() => {
    set([...groups, commands]);
    return () => set(groups.filter((each) => each !== commands));
  }, [commands]);
}

export function useAllCommands(): readonly Command[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => all,
  );
}

/** The keys of an event, in the form of {@link Command.keys}. */
export function keysOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const isShifted = event.shiftKey && (key.length > 1 || key.toLowerCase() !== key.toUpperCase());
  return [event.ctrlKey || event.metaKey ? "Mod" : "", event.altKey ? "Alt" : "", isShifted ? "Shift" : "", key].filter(Boolean).join("+");
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Run the command that the keys of this event are for, if there is one; single letters are left to whoever types. */
export function handleKeys(event: KeyboardEvent): void {
  if (event.defaultPrevented) return;
  const keys = keysOf(event);
  if (isTyping(event.target) && !/^Mod\+(K|Enter|S)$/.test(keys)) return;
  if (document.querySelector("dialog[open]") && keys !== "Mod+K") return;
  const command = all.find((each) => each.keys === keys && each.refused === undefined);
  if (!command) return;
  event.preventDefault();
  command.run();
}
