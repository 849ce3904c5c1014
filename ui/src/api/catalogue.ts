/** The components and composites of the node: asked for once, and again when somebody wants. */

import { useEffect, useState } from "react";
import { COMPOSITE, type Catalogue, type Spec } from "../model/ports";
import { get, query } from "./http";

/** As many as a node gives in one answer. */
const PAGE = 1000;

let known: Promise<Catalogue> | null = null;
const listeners = new Set<() => void>();

async function listed(address: string): Promise<readonly Spec[]> {
  const found: Spec[] = [];
  for (;;) {
    const page = await get<readonly Spec[]>(`${address}${query({ limit: PAGE, after: found.at(-1)?.name })}`);
    found.push(...page);
    if (page.length < PAGE) return found;
  }
}

async function fetchAll(): Promise<Catalogue> {
  const [components, composites] = await Promise.all([listed("components"), listed("composites")]);
  const all = [...composites.map((each): Spec => ({ ...each, kind: COMPOSITE })), ...components];
  return Object.fromEntries(all.map((spec) => [spec.name, spec]));
}

/** Have all who know the catalogue know it anew: a composite was made or changed. */
export function renewCatalogue(): void {
  known = null;
  for (const listener of listeners) listener();
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
  const [renewed, setRenewed] = useState(0);
  useEffect(() => {
    const hear = () => setRenewed((before) => before + 1);
    listeners.add(hear);
    return () => void listeners.delete(hear);
  }, []);
  useEffect(() => {
    let isLeft = false;
    catalogue(count > 0)
      .then((specs) => isLeft || setState({ specs, error: undefined }))
      .catch((error: unknown) => isLeft || setState((before) => ({ ...before, error })));
    return () => {
      isLeft = true;
    };
  }, [count, renewed]);
  return { ...state, again: () => setCount(count + 1) };
}
