/** Deletions that are held back for some seconds, in which they can be undone; sent at once when the page is left. */

import { useEffect, useRef, useSyncExternalStore } from "react";
import { ask, path } from "../../api/http";
import { notify } from "../../parts/Notices";
import { messageOf } from "../../parts/Problem";
import { t } from "../../texts";
import { type Criteria, listAddress } from "./letters";

export const HELD_S = 8;

export interface Held {
  /** One letter, or all that match. */
  readonly id?: string;
  readonly criteria?: Criteria;
  /** The search that shows them. */
  readonly about?: Criteria;
  readonly count: number;
}

let held: readonly Held[] = [];
let turns = 0;
const listeners = new Set<() => void>();

function tell(): void {
  for (const listener of listeners) listener();
}

/** Something was changed here: whoever shows dead letters asks again. */
export function touch(): void {
  turns++;
  tell();
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useHeld = (): readonly Held[] => useSyncExternalStore(subscribe, () => held);

/** Call `again` after each change that was made here. */
export function useChanges(again: () => void): void {
  const now = useSyncExternalStore(subscribe, () => turns);
  const seen = useRef(now);
  useEffect(() => {
    if (seen.current === now) return;
    seen.current = now;
    again();
  }, [now, again]);
}

function drop(one: Held): void {
  held = held.filter((each) => each !== one);
  tell();
}

/** Deletions on their way to the node: nothing brings them back. */
const sent = new Set<Held>();

async function send(one: Held, isLast = false): Promise<void> {
  if (sent.has(one) || !held.includes(one)) return;
  sent.add(one);
  try {
    const { body } = await ask<{ count?: number } | "">("DELETE", one.id === undefined ? listAddress(one.criteria ?? {}) : path("deadletters", one.id), { isLast });
    notify({ text: t.repair.deleted(typeof body === "object" ? (body.count ?? 1) : 1), kind: "ok" });
  } catch (error) {
    notify({ text: messageOf(error), kind: "bad" });
  }
  sent.delete(one);
  drop(one);
  touch();
}

/** Delete after {@link HELD_S} seconds, unless it is undone until then. */
export function hold(one: Held): void {
  held = [...held, one];
  tell();
  const undo = () => {
    if (sent.has(one) || !held.includes(one)) return;
    drop(one);
    notify({ text: t.repair.kept });
  };
  const close = notify({ text: t.repair.deletes(one.count, HELD_S), staysMs: HELD_S * 1000, action: { name: t.parts.undo, run: undo } });
  setTimeout(() => {
    close();
    void send(one);
  }, HELD_S * 1000);
}

addEventListener("pagehide", () => held.forEach((one) => void send(one, true)));
