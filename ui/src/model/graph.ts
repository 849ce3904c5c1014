/** A graph as the editor holds it: the graph file in a normal form, in which nothing has to be looked for twice. */

import { type Json, type JsonObject, type Said, isObject, own, said } from "./json";

/** `[x, y]` on the canvas, or `[width, height]`. */
export type Place = readonly [number, number];
/** `["filter.output", "filter.input"]`. */
export type Wire = readonly [string, string];

export interface FilterDoc {
  readonly component: string;
  readonly params: JsonObject;
  /** Tells a filter from others whatever it is called; drafts have it, deployed graphs do not. */
  readonly uid?: string;
  readonly [option: string]: Json;
}

/** A note on the canvas; nothing that runs. */
export interface Comment {
  readonly text: string;
  readonly at: Place;
  readonly size?: Place;
}

export interface GraphDoc {
  readonly pypes: number;
  readonly name: string;
  readonly nodes: Readonly<Record<string, FilterDoc>>;
  readonly wires: readonly Wire[];
  readonly routes: readonly string[];
  readonly inherit: readonly string[];
  readonly layout: Readonly<Record<string, Place>>;
  readonly comments: Readonly<Record<string, Comment>>;
  readonly tests: readonly JsonObject[];
  /** Every other key of the file: `description`, `limits`, `schedule` … */
  readonly [key: string]: unknown;
}

export interface End {
  readonly filter: string;
  readonly port: string;
}

/** Keys that have a form of their own here; all others of a graph are kept as they are. */
const FORMED: ReadonlySet<string> = new Set([
  "pypes",
  "name",
  "nodes",
  "wires",
  "routes",
  "inherit",
  "layout",
  "comments",
  "tests",
]);
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const LONGEST_NAME = 64;
const ROOM_FOR_NUMBER = 6;

export function isName(text: string): boolean {
  return NAME.test(text);
}

export function emptyGraph(name: string): GraphDoc {
  return { pypes: 1, name, nodes: {}, wires: [], routes: [], inherit: [], layout: {}, comments: {}, tests: [] };
}

/** Farther out a canvas loses its way; a graph of ten thousand filters in a row has room. */
const FARTHEST = 10_000_000;

export function isPlace(value: unknown): value is Place {
  return Array.isArray(value) && value.length === 2 && value.every((each) => Number.isFinite(each) && Math.abs(each) <= FARTHEST);
}

export function isWire(value: unknown): value is Wire {
  return Array.isArray(value) && value.length === 2 && value.every((end) => typeof end === "string" && /^[^.]+\../s.test(end));
}

/** The filter and the port of `filter.port`. */
export function endOf(text: string): End {
  const dot = text.indexOf(".");
  return { filter: text.slice(0, dot), port: text.slice(dot + 1) };
}

export function wireOf(from: End, to: End): Wire {
  return [`${from.filter}.${from.port}`, `${to.filter}.${to.port}`];
}

/** A text that stands for a wire, as a key. */
export function wireKey([from, to]: Wire): string {
  return `${from} ${to}`;
}

export function sameWire(one: Wire, other: Wire): boolean {
  return one[0] === other[0] && one[1] === other[1];
}

/** The names of the filters at both ends. */
export function filtersOf([from, to]: Wire): readonly [string, string] {
  return [endOf(from).filter, endOf(to).filter];
}

export function hasWire(doc: GraphDoc, wire: Wire): boolean {
  return doc.wires.some((each) => sameWire(each, wire));
}

export function wiresOf(doc: GraphDoc, filter: string): readonly Wire[] {
  return doc.wires.filter((wire) => filtersOf(wire).includes(filter));
}

/** A wire whose ends are at other filters. */
export function rewired([from, to]: Wire, rename: (filter: string) => string): Wire {
  const moved = (end: string): string => `${rename(endOf(end).filter)}.${endOf(end).port}`;
  return [moved(from), moved(to)];
}

/** Wires in the order of graph files, none twice. */
export function sortedWires(wires: readonly Wire[]): readonly Wire[] {
  const unique = new Map(wires.map((wire) => [wireKey(wire), wire]));
  return [...unique.values()].sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
}

export function sortedSet(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort(compare);
}

/** By code, as in graph files: the same in every browser and language. */
export function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** The name of a test: each test of a `GraphDoc` has one of its own. */
export function testName(test: JsonObject): string {
  return typeof test["name"] === "string" ? test["name"] : "";
}

/** A name that no test has: `wanted`, `wanted (2)`. */
export function freeTestName(tests: readonly JsonObject[], wanted: string): string {
  const used = new Set(tests.map(testName));
  if (wanted && !used.has(wanted)) return wanted;
  for (let number = 2; ; number++) if (!used.has(`${wanted} (${number})`)) return `${wanted} (${number})`;
}

/** A name that no filter of the graph has, and no wire names, near the one wanted: `csv`, `csv2`, `csv3`. */
export function freeName(doc: GraphDoc, wanted: string, taken: Iterable<string> = []): string {
  const used = new Set([...Object.keys(doc.nodes), ...doc.wires.flatMap(filtersOf), ...taken]);
  const plain = wanted.replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+|-+$/g, "");
  const first = plain.slice(0, LONGEST_NAME - ROOM_FOR_NUMBER) || "filter";
  if (!used.has(first)) return first;
  const bare = first.replace(/(?<=[^\d])\d{1,3}$/, "");
  for (let number = 2; ; number++) if (!used.has(`${bare}${number}`)) return `${bare}${number}`;
}

/** Unlike every other one: for filters and comments. Where a page came without TLS, browsers have no `randomUUID`. */
export function newUid(): string {
  const part = (): string => Math.random().toString(36).slice(2, 10).padEnd(8, "0");
  return `u${part()}${part()}`;
}

/** Whatever was stored or imported, in the normal form. What has no form is left out, and said. */
export function readGraph(value: unknown): { doc: GraphDoc; lost: readonly Said[] } {
  const lost: Said[] = [];
  const lose = (where: string): void => void lost.push(said("graph.lost", { where }));
  if (!isObject(value)) return { doc: emptyGraph(""), lost: [said("graph.noObject")] };

  const map = <T>(key: string, read: (item: Json) => T | null): Record<string, T> => {
    const given = value[key] ?? {};
    if (!isObject(given)) lose(key);
    return Object.fromEntries(
      (isObject(given) ? Object.entries(given) : []).flatMap(([name, item]) => {
        const found = read(item);
        if (found === null) lose(`${key}.${name}`);
        return found === null ? [] : [[name, found] as const];
      }),
    );
  };
  const list = <T>(key: string, is: (item: unknown) => item is T): T[] => {
    const given = value[key] ?? [];
    if (!Array.isArray(given)) lose(key);
    return (Array.isArray(given) ? given : []).filter((item: unknown, index): item is T => {
      if (!is(item)) lose(`${key}.${index}`);
      return is(item);
    });
  };
  const doc: GraphDoc = {
    ...Object.fromEntries(Object.entries(value).filter(([key]) => !FORMED.has(key))),
    pypes: typeof value["pypes"] === "number" ? value["pypes"] : 1,
    name: typeof value["name"] === "string" ? value["name"] : "",
    nodes: map("nodes", readFilter),
    wires: sortedWires(list("wires", isWire)),
    routes: sortedSet(list("routes", isText)),
    inherit: sortedSet(list("inherit", isText)),
    layout: {},
    comments: map("comments", readComment),
    tests: named(list("tests", isObject)),
  };
  // a place without a filter says nothing
  const placed = Object.entries(map("layout", (item) => (isPlace(item) ? item : null))).filter(([name]) => filterOf(doc, name));
  return { doc: { ...doc, layout: Object.fromEntries(placed) }, lost };
}

/** The graph as it is sent to the node: what is optional and empty is left out. Without `uids`, as files have it. */
export function toFile(doc: GraphDoc, { uids = true }: { uids?: boolean } = {}): JsonObject {
  const empty = (value: unknown): boolean =>
    Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;
  const nodes = Object.entries(doc.nodes).map(([name, { uid, ...node }]) => [
    name,
    uids && uid !== undefined ? { ...node, uid } : node,
  ]);
  const kept = Object.entries(doc).filter(([key, value]) => key === "wires" || !FORMED.has(key) || !empty(value));
  return { ...Object.fromEntries(kept), nodes: Object.fromEntries(nodes) } as JsonObject;
}

/** The other keys of the graph: those without a form of their own. */
export function otherKeys(doc: GraphDoc): JsonObject {
  return Object.fromEntries(Object.entries(doc).filter(([key]) => !FORMED.has(key))) as JsonObject;
}

/** Whether a key of the graph is set as a whole, as `description` is. */
export function isOtherKey(key: string): boolean {
  return !FORMED.has(key);
}

export function filterOf(doc: GraphDoc, name: string): FilterDoc | undefined {
  return own(doc.nodes, name);
}

export function readFilter(value: unknown): FilterDoc | null {
  if (!isObject(value) || typeof value["component"] !== "string") return null;
  const { uid, params, ...kept } = value;
  const filter = { ...kept, component: value["component"], params: isObject(params) ? params : {} };
  return typeof uid === "string" ? { ...filter, uid } : filter;
}

export function readComment(value: unknown): Comment | null {
  if (!isObject(value) || typeof value["text"] !== "string" || !isPlace(value["at"])) return null;
  const { text, at, size } = value;
  return isPlace(size) ? { text, at, size } : { text, at };
}

/** Tests with names: as the node calls them that have none, and no two the same. */
function named(tests: readonly JsonObject[]): readonly JsonObject[] {
  const found: JsonObject[] = [];
  tests.forEach((test, index) => {
    const name = freeTestName(found, testName(test) || `test ${index + 1}`);
    found.push(name === test["name"] ? test : { ...test, name });
  });
  return found;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
