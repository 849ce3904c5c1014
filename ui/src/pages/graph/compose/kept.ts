/** What a browser keeps of a draft: the steps to undo, and what the node does not have yet. It survives a reload, and closing the tab. */

import { type GraphDoc, readGraph, toFile } from "../../../model/graph";
import { type History, emptyHistory, readHistory, saveHistory } from "../../../model/history";
import { isObject, isSaid } from "../../../model/json";
import type { Conflict } from "../../../model/merge";

export interface Kept {
  /** Counter of the draft it belongs to; null: none. */
  readonly counter: number | null;
  readonly base: number;
  readonly history: History;
  /** Those that nobody has decided yet: one side of each is nowhere else. */
  readonly conflicts: readonly Conflict[];
  /** The graph here and the last one that the node had, where they differ. */
  readonly unsaved?: { readonly doc: GraphDoc; readonly saved: GraphDoc };
}

const isConflict = (value: unknown): boolean => isObject(value) && typeof value["id"] === "string" && isObject(value["where"]) && Array.isArray(value["path"]) && isSaid(value["why"]);

const keyOf = (graph: string) => `pypes.draft.${graph}`;

/** The tab has its own; another tab of this browser begins with the last that any has written. */
export function readKept(graph: string): Kept | null {
  for (const storage of [sessionStorage, localStorage]) {
    try {
      const value: unknown = JSON.parse(storage.getItem(keyOf(graph)) ?? "null");
      if (!isObject(value) || typeof value["base"] !== "number") continue;
      const { counter, base, history, conflicts, doc, saved } = value;
      return {
        counter: typeof counter === "number" ? counter : null,
        base,
        history: typeof history === "string" ? readHistory(history) : emptyHistory,
        conflicts: Array.isArray(conflicts) ? (conflicts.filter(isConflict) as unknown as Conflict[]) : [],
        ...(isObject(doc) && isObject(saved) ? { unsaved: { doc: readGraph(doc).doc, saved: readGraph(saved).doc } } : {}),
      };
    } catch {
      // not what was written here: as if there were nothing
    }
  }
  return null;
}

export function keep(graph: string, { counter, base, history, conflicts, unsaved }: Kept): void {
  const graphs = unsaved ? { doc: toFile(unsaved.doc), saved: toFile(unsaved.saved) } : {};
  const text = JSON.stringify({ counter, base, history: saveHistory(history), conflicts, ...graphs });
  for (const storage of [sessionStorage, localStorage]) {
    try {
      storage.setItem(keyOf(graph), text);
    } catch {
      // no room: the draft itself is with the node
      storage.removeItem(keyOf(graph));
    }
  }
}
