/** Parts of a graph that there may be or not: its draft, its file. */

import { useCallback, useEffect, useMemo, useState } from "react";
import { type DraftAnswer, readDraft } from "../../api/drafts";
import { listen } from "../../api/events";
import { ApiError } from "../../api/http";
import { useFetched } from "../../parts/useFetched";

export interface Loaded<T> {
  /** Undefined: not yet; null: there is none. */
  readonly value: T | null | undefined;
  readonly error: unknown;
  readonly again: () => void;
}

const isMissing = (error: unknown): boolean => error instanceof ApiError && error.status === 404;

/** What is at an address, null where nothing is; the same object as long as it is the same. */
export function useMaybe<T>(address: string | undefined): Loaded<T> {
  const { value, error, again } = useFetched<T>(address);
  const text = value === undefined ? undefined : JSON.stringify(value);
  const kept = useMemo(() => (text === undefined ? undefined : (JSON.parse(text) as T)), [text]);
  if (isMissing(error)) return { value: null, error: undefined, again };
  return { value: kept, error, again };
}

/** The draft of a graph, kept up with what others save. */
export function useDraftAnswer(name: string): Loaded<DraftAnswer> {
  const [state, setState] = useState<{ readonly value?: DraftAnswer | null; readonly error?: unknown }>({});
  const [count, setCount] = useState(0);
  useEffect(() => {
    let isLeft = false;
    readDraft(name)
      // what has not changed stays the same object
      .then((value) => isLeft || setState((before) => (value && before.value?.counter === value.counter && before.value.live === value.live ? { value: before.value } : { value })))
      .catch((error: unknown) => isLeft || setState((before) => ({ ...before, error })));
    return () => {
      isLeft = true;
    };
  }, [name, count]);
  const again = useCallback(() => setCount((before) => before + 1), []);
  useEffect(() => listen(["draft", "deployment"], again, name), [again, name]);
  return { value: state.value, error: state.value === undefined ? state.error : undefined, again };
}
