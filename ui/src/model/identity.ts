/** Which filters of several versions of a graph are the same, whatever they are called there. */

import { testWith } from "./change";
import { type GraphDoc, filterOf, rewired } from "./graph";
import { renamed } from "./json";

/** The identity of each filter of a version, by its name. */
export type Identities = ReadonlyMap<string, string>;

/** Identities in a version and a later one: by uid, otherwise by name. `later` marks the filters that are new in it. */
export function match(doc: GraphDoc, next: GraphDoc, ids: Identities, later: string): Identities {
  const found = new Map<string, string>();
  const byUid = new Map(
    Object.entries(doc.nodes).flatMap(([name, { uid }]) => (uid === undefined ? [] : [[uid, name] as const])),
  );
  const left = new Set(Object.keys(doc.nodes));
  const take = (name: string, old: string): void => {
    found.set(name, ids.get(old) ?? old);
    left.delete(old);
  };
  for (const [name, { uid }] of Object.entries(next.nodes)) {
    const old = uid === undefined ? undefined : byUid.get(uid);
    if (old !== undefined && left.has(old)) take(name, old);
  }
  for (const name of Object.keys(next.nodes)) {
    if (found.has(name)) continue;
    if (left.has(name)) take(name, name);
    else found.set(name, `${later}${found.size}`);
  }
  return found;
}

export interface Threefold {
  readonly base: Identities;
  readonly saved: Identities;
  readonly mine: Identities;
}

/** Identities in three versions. Filters that both sides added are one by their uid, or by their name if not both have a uid. */
export function identify(base: GraphDoc, saved: GraphDoc, mine: GraphDoc): Threefold {
  const ids = new Map(Object.keys(base.nodes).map((name, index) => [name, `b${index}`]));
  const theirs = match(base, saved, ids, "s");
  const found = new Map(match(base, mine, ids, "m"));
  const added = new Map([...theirs].filter(([, id]) => id.startsWith("s")));
  const byUid = new Map(
    [...added].flatMap(([name, id]) => {
      const uid = filterOf(saved, name)?.uid;
      return uid === undefined ? [] : [[uid, id] as const];
    }),
  );
  for (const [name, id] of found) {
    if (!id.startsWith("m")) continue;
    const uid = filterOf(mine, name)?.uid;
    const alike = uid === undefined || filterOf(saved, name)?.uid === undefined ? added.get(name) : undefined;
    const same = (uid === undefined ? undefined : byUid.get(uid)) ?? alike;
    if (same !== undefined && ![...found.values()].includes(same)) found.set(name, same);
  }
  return { base: ids, saved: theirs, mine: found };
}

/** The graph with identities in place of names. A name that no filter has is kept, marked by `?`. */
export function named(doc: GraphDoc, ids: Identities): GraphDoc {
  const id = (name: string): string => ids.get(name) ?? `?${name}`;
  return {
    ...doc,
    nodes: renamed(doc.nodes, id),
    wires: doc.wires.map((wire) => rewired(wire, id)),
    layout: renamed(doc.layout, id),
    tests: doc.tests.map((test) => testWith(test, id)),
  };
}
