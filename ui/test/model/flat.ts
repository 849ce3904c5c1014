/** A graph as plain entries, filters by their uid: what merging and undoing are held against. */

import { type GraphDoc, endOf, otherKeys, testName } from "../../src/model/graph";
import { testWith } from "../../src/model/change";

export type Flat = ReadonlyMap<string, string>;

/** All but where things are drawn, which never conflicts. A filter that is gone is known from where it was. */
export function flat(doc: GraphDoc, before: readonly GraphDoc[] = []): Flat {
  const found = new Map<string, string>();
  const put = (key: string, value: unknown): void => void found.set(key, JSON.stringify(value));
  const uid = (name: string): string => [doc, ...before].find(({ nodes }) => nodes[name])?.nodes[name]?.uid ?? `?${name}`;
  for (const [name, { uid: id, params, ...rest }] of Object.entries(doc.nodes)) {
    put(`${id} name`, name);
    for (const [key, value] of Object.entries(params)) put(`${id} params ${key}`, value);
    for (const [key, value] of Object.entries(rest)) put(`${id} ${key}`, value);
  }
  for (const [from, to] of doc.wires) {
    put(`wire ${uid(endOf(from).filter)}.${endOf(from).port} ${uid(endOf(to).filter)}.${endOf(to).port}`, 1);
  }
  for (const key of ["routes", "inherit"] as const) for (const each of doc[key]) put(`${key} ${each}`, 1);
  for (const test of doc.tests) put(`test ${testName(test)}`, testWith(test, uid));
  for (const [id, { text }] of Object.entries(doc.comments)) put(`comment ${id}`, text);
  for (const [key, value] of Object.entries(otherKeys(doc))) put(key, value);
  return found;
}

/** The keys that differ. */
export function touched(before: Flat, after: Flat): ReadonlySet<string> {
  return new Set([...before.keys(), ...after.keys()].filter((key) => before.get(key) !== after.get(key)));
}

/** What has what `before` has, and what `after` changed of it. */
export function patched(of: Flat, before: Flat, after: Flat): Flat {
  const found = new Map(of);
  for (const key of touched(before, after)) {
    const value = after.get(key);
    if (value === undefined) found.delete(key);
    else found.set(key, value);
  }
  return found;
}

export function sorted(of: Flat): readonly (readonly [string, string])[] {
  return [...of].sort(([a], [b]) => (a < b ? -1 : 1));
}
