import { useCallback, useEffect, useRef, useState } from "react";
import { get } from "../api/http";

export interface Fetched<T> {
  /** The last answer; it stays while it is fetched again. */
  readonly value: T | undefined;
  readonly error: unknown;
  readonly again: () => void;
}

/** What is at an address, fetched at once, after `again`, and each `everyMs` while the page is seen; undefined: not yet. */
export function useFetched<T>(address: string | undefined, everyMs = 0): Fetched<T> {
  const [state, setState] = useState<{ address: string | undefined; value: T | undefined; error: unknown }>({ address, value: undefined, error: undefined });
  const [count, setCount] = useState(0);
  // whoever goes to an address asks for it; what follows is asked by the page, mostly as it has heard of something
  const known = useRef<string>(undefined);
  useEffect(() => {
    if (address === undefined) return undefined;
    const stop = new AbortController();
    let timer = 0;
    const fetchIt = (isUnasked: boolean) => {
      get<T>(address, { signal: stop.signal, isUnasked })
        .then((value) => setState({ address, value, error: undefined }))
        .catch((error: unknown) => {
          if (!stop.signal.aborted) setState((before) => ({ address, value: before.address === address ? before.value : undefined, error }));
        })
        .finally(() => {
          if (everyMs && !stop.signal.aborted) timer = window.setTimeout(look, everyMs);
        });
    };
    const look = () => (document.hidden ? void (timer = window.setTimeout(look, everyMs)) : fetchIt(true));
    fetchIt(known.current === address);
    known.current = address;
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [address, everyMs, count]);
  const isThis = state.address === address;
  return { value: isThis ? state.value : undefined, error: isThis ? state.error : undefined, again: useCallback(() => setCount((before) => before + 1), []) };
}
