import { useEffect, useMemo, useSyncExternalStore } from "react";
import { useRefusal } from "../../../session";
import { type Draft, type DraftState, draftOf } from "./draft";

export interface Drafted {
  readonly draft: Draft;
  /** Null until it has come. */
  readonly state: DraftState | null;
  readonly error: unknown;
  /** Why whoever looks may not edit. */
  readonly refused: string | undefined;
}

/** The draft of a graph, kept up to date while a part of the page shows it. */
export function useDraft(graph: string): Drafted {
  const refused = useRefusal("edit");
  const draft = useMemo(() => draftOf(graph, refused === undefined), [graph, refused]);
  useEffect(() => draft.open(), [draft]);
  const state = useSyncExternalStore(draft.subscribe, () => draft.state);
  const error = useSyncExternalStore(draft.subscribe, () => draft.error);
  return { draft, state, error, refused };
}
