/** Addresses within the page: hashes such as `#/graphs/shop/watch?filter=json`, so that any path of a proxy may stand before it. */

import { useSyncExternalStore } from "react";

export interface Place {
  readonly parts: readonly string[];
  readonly params: URLSearchParams;
}

/** A part that is no text as an address has it stays as it is. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function placeOf(hash: string): Place {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return { parts: path.split("/").filter(Boolean).map(decoded), params: new URLSearchParams(search) };
}

export function address(parts: readonly string[], params: Readonly<Record<string, string | undefined>> = {}): string {
  const search = new URLSearchParams(Object.entries(params).filter((each): each is [string, string] => each[1] !== undefined)).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${search && `?${search}`}`;
}

/** Go to another place; with `replace` the way back leads past this one. */
export function go(to: string, replace = false): void {
  if (replace) {
    history.replaceState(null, "", to);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = to;
}

function subscribe(changed: () => void): () => void {
  addEventListener("hashchange", changed);
  return () => removeEventListener("hashchange", changed);
}

export function usePlace(): Place {
  return placeOf(useSyncExternalStore(subscribe, () => location.hash));
}
