/** What differs: between two versions of a graph, and between a packet before and after a filter. */

import { diffLines } from "diff";
import { type FilterDoc, type GraphDoc, type Wire, compare, otherKeys, rewired, sortedWires, testName, wireKey } from "./graph";
import { type Identities, match, named } from "./identity";
import { type Json, type JsonObject, equal, isObject, own } from "./json";

/** A value before and after; undefined where there is none. */
export interface Changed {
  readonly name: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

export interface FilterChange {
  /** Its name after. */
  readonly name: string;
  /** Its name before, if that was another. */
  readonly from?: string;
  readonly params: readonly Changed[];
  /** `component`, `timeout_s`, `pool` … */
  readonly options: readonly Changed[];
}

export interface Gained<T> {
  readonly added: readonly T[];
  readonly removed: readonly T[];
}

export interface Difference {
  readonly filters: Gained<string> & { readonly changed: readonly FilterChange[] };
  /** Wires with the names that filters have on their side: those that were removed with the names before. */
  readonly wires: Gained<Wire>;
  /** Filters that are drawn elsewhere. */
  readonly moved: readonly string[];
  readonly fields: readonly Changed[];
  readonly routes: Gained<string>;
  readonly inherit: Gained<string>;
  readonly tests: readonly Changed[];
  readonly comments: readonly Changed[];
}

/** The way from one version to another. Filters are the same by their uid, or their name, or as the only ones of their make. */
export function difference(before: GraphDoc, after: GraphDoc): Difference {
  const ids: Identities = new Map(Object.keys(before.nodes).map((name, index) => [name, `b${index}`]));
  const next = alike(before, after, ids, match(before, after, ids, "a"));
  const [one, other] = [named(before, ids), named(after, next)];
  const names = new Map([...ids].map(([name, id]) => [id, name]));
  const [olds, news] = [new Set(ids.values()), new Set(next.values())];
  const both = [...next].filter(([, id]) => olds.has(id));
  const [wiresBefore, wiresAfter] = [wiresBy(before, ids), wiresBy(after, next)];
  return {
    filters: {
      added: [...next].filter(([, id]) => !olds.has(id)).map(([name]) => name),
      removed: [...ids].filter(([, id]) => !news.has(id)).map(([name]) => name),
      changed: both.flatMap(([name, id]) => filterChange(name, names.get(id) ?? name, one.nodes[id], other.nodes[id])),
    },
    wires: {
      added: sortedWires([...wiresAfter].filter(([key]) => !wiresBefore.has(key)).map(([, wire]) => wire)),
      removed: sortedWires([...wiresBefore].filter(([key]) => !wiresAfter.has(key)).map(([, wire]) => wire)),
    },
    moved: both.filter(([, id]) => !equal(own(one.layout, id), own(other.layout, id))).map(([name]) => name),
    fields: changes(otherKeys(before), otherKeys(after)),
    routes: gained(before.routes, after.routes),
    inherit: gained(before.inherit, after.inherit),
    tests: changes(byName(before), byName(after)),
    comments: changes(before.comments as unknown as JsonObject, after.comments as unknown as JsonObject),
  };
}

/** How many things differ in what runs, and in what is said of it; where things are drawn does not count. */
export function count({ filters, wires, fields, routes, inherit, tests }: Difference): number {
  const inFilters = filters.changed.map(
    ({ from, params, options }) => params.length + options.length + (from === undefined ? 0 : 1),
  );
  const lists = [
    filters.added,
    filters.removed,
    wires.added,
    wires.removed,
    fields,
    routes.added,
    routes.removed,
    inherit.added,
    inherit.removed,
    tests,
  ];
  return [...inFilters, ...lists.map((list) => list.length)].reduce((sum, number) => sum + number, 0);
}

/** Whether nothing differs but, perhaps, where things are drawn. */
export function isEmpty(found: Difference): boolean {
  return count(found) === 0 && found.comments.length === 0;
}

/** Deployed graphs have no uids: of what has gone and what is new, those that nobody could tell apart are the same, renamed. */
function alike(before: GraphDoc, after: GraphDoc, ids: Identities, next: Identities): Identities {
  const kept = new Set(next.values());
  const make = ({ uid: _, ...node }: FilterDoc): string => JSON.stringify(sortedKeys(node as JsonObject));
  const only = (names: readonly string[], doc: GraphDoc): ReadonlyMap<string, string> => {
    const found = new Map<string, string[]>();
    for (const name of names) {
      const key = make(doc.nodes[name] as FilterDoc);
      found.set(key, [...(found.get(key) ?? []), name]);
    }
    return new Map(
      [...found].flatMap(([key, [name, ...more]]) => (name !== undefined && more.length === 0 ? [[key, name]] : [])),
    );
  };
  const gone = only(
    [...ids].filter(([, id]) => !kept.has(id)).map(([name]) => name),
    before,
  );
  const come = only(
    [...next].filter(([, id]) => id.startsWith("a")).map(([name]) => name),
    after,
  );
  const found = new Map(next);
  for (const [key, name] of come) {
    const old = gone.get(key);
    const both = old !== undefined && before.nodes[old]?.uid !== undefined && after.nodes[name]?.uid !== undefined;
    if (old !== undefined && !both) found.set(name, ids.get(old) ?? "");
  }
  return found;
}

function sortedKeys(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => compare(a, b))
      .map(([key, item]) => [key, sortedKeys(item)]),
  );
}

function filterChange(name: string, from: string, before: FilterDoc | undefined, after: FilterDoc | undefined): FilterChange[] {
  if (!before || !after) return [];
  const { params: paramsBefore, uid: _, ...restBefore } = before;
  const { params: paramsAfter, uid: __, ...restAfter } = after;
  const [params, options] = [changes(paramsBefore, paramsAfter), changes(restBefore as JsonObject, restAfter as JsonObject)];
  if (from === name && !params.length && !options.length) return [];
  return [{ name, params, options, ...(from === name ? {} : { from }) }];
}

/** The wires of a version, by their ends with identities in place of names. */
function wiresBy(doc: GraphDoc, ids: Identities): ReadonlyMap<string, Wire> {
  return new Map(doc.wires.map((wire) => [wireKey(rewired(wire, (name) => ids.get(name) ?? `?${name}`)), wire]));
}

function byName(doc: GraphDoc): JsonObject {
  return Object.fromEntries(doc.tests.map((test) => [testName(test), test]));
}

function changes(before: JsonObject, after: JsonObject): readonly Changed[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .map((name) => ({ name, before: own(before, name), after: own(after, name) }))
    .filter((each) => !equal(each.before, each.after))
    .sort((one, other) => compare(one.name, other.name));
}

function gained(before: readonly string[], after: readonly string[]): Gained<string> {
  return { added: after.filter((item) => !before.includes(item)), removed: before.filter((item) => !after.includes(item)) };
}

/** Texts that differ in more lines than this have nearly nothing in common; to look further would take seconds. */
const MOST_EDITS = 1000;

// -- packets ---------------------------------------------------------------------------------------------

export interface Packet {
  readonly fields?: JsonObject;
  readonly meta?: JsonObject;
  readonly field_meta?: JsonObject;
}

export interface Line {
  readonly state: "same" | "added" | "removed";
  readonly text: string;
}

export interface Entry {
  readonly name: string;
  readonly state: "same" | "added" | "removed" | "changed";
  readonly before: Json | undefined;
  readonly after: Json | undefined;
  /** Of texts of several lines that changed. */
  readonly lines?: readonly Line[];
}

export interface PacketDifference {
  readonly fields: readonly Entry[];
  readonly meta: readonly Entry[];
  readonly field_meta: readonly Entry[];
}

/** What became of a packet; all of one that is new or gone. */
export function packetDifference(before: Packet | null, after: Packet | null): PacketDifference {
  const part = (key: keyof Packet): readonly Entry[] => entries(before?.[key] ?? {}, after?.[key] ?? {});
  return { fields: part("fields"), meta: part("meta"), field_meta: part("field_meta") };
}

function entries(before: JsonObject, after: JsonObject): readonly Entry[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].map((name) => {
    const [one, other] = [own(before, name), own(after, name)];
    const state = one === undefined ? "added" : other === undefined ? "removed" : equal(one, other) ? "same" : "changed";
    const entry = { name, state, before: one, after: other } as const;
    return state === "changed" && (isLong(one) || isLong(other))
      ? { ...entry, lines: lines(textOf(one), textOf(other)) }
      : entry;
  });
}

function isLong(value: Json | undefined): boolean {
  return typeof value === "string" ? value.includes("\n") : typeof value === "object" && value !== null;
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value, null, 1);
}

/** Two texts line by line. Where they have nearly nothing in common, all of one, then all of the other. */
export function lines(before: string, after: string): readonly Line[] {
  const found = diffLines(before, after, { maxEditLength: MOST_EDITS });
  const parts = found ?? [
    { value: before, removed: true, added: false },
    { value: after, removed: false, added: true },
  ];
  return parts.flatMap(({ value, added, removed }): Line[] => {
    const texts = value.replace(/\n$/, "").split("\n");
    return value ? texts.map((text) => ({ state: added ? "added" : removed ? "removed" : "same", text })) : [];
  });
}
