/** The components of the node: asked for once, and again when somebody wants. */

import { useEffect, useState } from "react";
import type { Catalogue, Spec } from "../model/ports";
import { get, query } from "./http";

/** As many as a node gives in one answer. */
const PAGE = 1000;

let known: Promise<Catalogue> | null = null;

async function fetchAll(): Promise<Catalogue> {
  const found: Spec[] = [];
  for (;;) {
    const page = await get<readonly Spec[]>(`components${query({ limit: PAGE, after: found.at(-1)?.name })}`);
    found.push(...page);
    if (page.length < PAGE) return Object.fromEntries(found.map((spec) => [spec.name, spec]));
  }
}

export function catalogue(isAnew = false): Promise<Catalogue> {
  if (isAnew || known === null) {
    known = fetchAll();
    known.catch(() => (known = null));
  }
  return known;
}

export interface CatalogueState {
  /** Undefined until it has come. */
  readonly specs: Catalogue | undefined;
  readonly error: unknown;
  readonly again: () => void;
}

export function useCatalogue(): CatalogueState {
  const [state, setState] = useState<{ specs: Catalogue | undefined; error: unknown }>({ specs: undefined, error: undefined });
  const [count, setCount] = useState(0);
  useEffect(() => {
    let isLeft = false;
    catalogue(count > 0)
      .then((specs) => isLeft || setState({ specs, error: undefined }))
      .catch((error: unknown) => isLeft || setState((before) => ({ ...before, error })));
    return () => {
      isLeft = true;
    };
  }, [count]);
  return { ...state, again: () => setCount(count + 1) };
}
