/** Changes of a graph: plain data, each with its inverse, so that what was done can be undone after a reload, too. */

import {
  type FilterDoc,
  type GraphDoc,
  type Wire,
  filtersOf,
  hasWire,
  isOtherKey,
  isPlace,
  readComment,
  readFilter,
  rewired,
  sameWire,
  sortedSet,
  sortedWires,
  testName,
  wiresOf,
} from "./graph";
import { type Json, type JsonObject, type Said, equal, isObject, own, renamed, said, withKey, without } from "./json";

export type SetKey = "routes" | "inherit";

/**
 * A small change. Paths begin with a key of the graph: `nodes NAME params KEY …`, `layout NAME`, `comments ID`, `description`.
 *
 * `was` is what stands there before it, as one who undoes something knows it: where something else stands by then, others have
 * changed it. A `loose` wire may lead to a filter that is not there.
 */
export type Change =
  | { readonly do: "set"; readonly path: readonly string[]; readonly value: Json; readonly was?: Json }
  | { readonly do: "unset"; readonly path: readonly string[]; readonly was?: Json }
  | { readonly do: "rename"; readonly from: string; readonly to: string }
  | { readonly do: "wire"; readonly wire: Wire; readonly loose?: true }
  | { readonly do: "unwire"; readonly wire: Wire }
  | { readonly do: "include" | "exclude"; readonly key: SetKey; readonly value: string }
  | { readonly do: "test"; readonly name: string; readonly test: JsonObject; readonly at?: number; readonly was?: JsonObject }
  | { readonly do: "untest"; readonly name: string; readonly was?: JsonObject };

/** A change that was not done, and why: what it is about has gone, or others changed it. */
export interface Skipped {
  readonly change: Change;
  readonly why: Said;
}

export interface Applied {
  readonly doc: GraphDoc;
  /** What brings back the graph as it was, change by change. */
  readonly inverse: readonly Change[];
  readonly skipped: readonly Skipped[];
}

type Done = { readonly doc: GraphDoc; readonly inverse: readonly Change[] } | Said;

/**
 * Do `changes` one after the other. Those that cannot be done are skipped, and so is what depends on a filter that they would
 * have brought. With `strict`, what others changed since stays as well.
 */
export function apply(doc: GraphDoc, changes: readonly Change[], { strict = false }: { strict?: boolean } = {}): Applied {
  let now = doc;
  const inverse: Change[][] = [];
  const skipped: Skipped[] = [];
  const missing = new Set<string>();
  for (const change of changes) {
    const lost = namesIn(change).find((name) => missing.has(name));
    const done = lost === undefined ? one(now, change, strict) : said("change.filterGone", { filter: lost });
    if ("doc" in done) {
      if (done.doc !== now) inverse.unshift([...done.inverse]);
      now = done.doc;
    } else {
      skipped.push({ change, why: done });
      if (change.do === "set" && change.path[0] === "nodes" && change.path.length === 2) missing.add(change.path[1] ?? "");
    }
  }
  return { doc: now, inverse: inverse.flat(), skipped };
}

/** The same changes after others renamed filters. */
export function followed(change: Change, rename: (filter: string) => string): Change {
  switch (change.do) {
    case "set":
    case "unset": {
      const [root = "", name = "", ...rest] = change.path;
      return root === "nodes" || root === "layout" ? { ...change, path: [root, rename(name), ...rest] } : change;
    }
    case "rename":
      return { ...change, from: rename(change.from) };
    case "wire":
    case "unwire":
      return { ...change, wire: rewired(change.wire, rename) };
    case "test":
      return { ...change, test: testWith(change.test, rename) };
    default:
      return change;
  }
}

/** A test in which filters are called otherwise. */
export function testWith(test: JsonObject, rename: (filter: string) => string): JsonObject {
  const list = (key: string, name: string): JsonObject => {
    const given = own(test, key);
    if (!Array.isArray(given)) return {};
    const items = given.map((item: Json) => {
      const filter = isObject(item) ? own(item, name) : undefined;
      return isObject(item) && typeof filter === "string" ? { ...item, [name]: rename(filter) } : item;
    });
    return { [key]: items };
  };
  return { ...test, ...list("expect", "node"), ...list("failed", "filter") };
}

/** The names of the filters that a change is about. */
function namesIn(change: Change): readonly string[] {
  if (change.do === "wire" || change.do === "unwire") return filtersOf(change.wire);
  if (change.do === "rename") return [change.from];
  if (change.do !== "set" && change.do !== "unset") return [];
  return change.path[0] === "nodes" || change.path[0] === "layout" ? change.path.slice(1, 2) : [];
}

function one(doc: GraphDoc, change: Change, strict: boolean): Done {
  switch (change.do) {
    case "set":
    case "unset":
      return place(doc, change, strict);
    case "rename":
      return rename(doc, change.from, change.to);
    case "wire":
    case "unwire":
      return wire(doc, change, strict);
    case "include":
    case "exclude":
      return member(doc, change.key, change.value, change.do === "include");
    case "test":
    case "untest":
      return test(doc, change, strict);
  }
}

// -- values at places ------------------------------------------------------------------------------------

function place(doc: GraphDoc, change: Change & { do: "set" | "unset" }, strict: boolean): Done {
  const { path } = change;
  const value = change.do === "set" ? change.value : undefined;
  const gone = whyNowhere(doc, path, value);
  if (gone) return gone;
  const was = at(doc, path);
  if (equal(was, value)) return { doc, inverse: [] };
  const [root = "", name = ""] = path;
  const isFilter = root === "nodes" && path.length === 2;
  if (strict && root !== "layout" && !equal(was, change.was)) {
    return isFilter && was !== undefined && change.was === undefined
      ? said("change.nameTaken", { filter: name })
      : said("change.byOthers", { where: path.length > 1 ? path.slice(1).join(".") : root });
  }
  if (strict && isFilter && value === undefined && wiresOf(doc, name).length)
    return said("change.wiredByOthers", { filter: name });
  const expected = value === undefined ? {} : { was: value };
  const back: Change = was === undefined ? { do: "unset", path, ...expected } : { do: "set", path, value: was, ...expected };
  const done = put(doc, path, value) as unknown as GraphDoc;
  const home = own(doc.layout, name);
  if (!isFilter || value !== undefined || home === undefined) return { doc: done, inverse: [back] };
  // a filter takes its place along
  return {
    doc: { ...done, layout: without(doc.layout, name) },
    inverse: [back, { do: "set", path: ["layout", name], value: home }],
  };
}

/** The reason why nothing can be set at a place. */
function whyNowhere(doc: GraphDoc, path: readonly string[], value: Json | undefined): Said | null {
  const [root = "", name = "", ...rest] = path;
  const refused = said("change.nowhere", { where: path.join(".") });
  if (path.length === 1) return isOtherKey(root) ? null : refused;
  if (root === "nodes") {
    if (rest.length === 0) return value === undefined || readFilter(value) ? null : refused;
    if (own(doc.nodes, name) === undefined) return said("change.filterGone", { filter: name });
    return rest[0] === "component" && typeof value !== "string" ? refused : holds(doc, path.slice(0, -1)) ? null : refused;
  }
  if (root === "layout") {
    if (own(doc.nodes, name) === undefined && value !== undefined) return said("change.filterGone", { filter: name });
    return rest.length === 0 && (value === undefined || isPlace(value)) ? null : refused;
  }
  if (root === "comments") {
    if (rest.length === 0) return value === undefined || readComment(value) ? null : refused;
    if (own(doc.comments, name) === undefined) return said("change.commentGone");
    return readComment(put(own(doc.comments, name) as unknown as JsonObject, rest, value)) ? null : refused;
  }
  return isOtherKey(root) && holds(doc, path.slice(0, -1)) ? null : refused;
}

function holds(doc: GraphDoc, path: readonly string[]): boolean {
  return isObject(at(doc, path));
}

/** The value at a path, through objects. */
export function at(value: unknown, path: readonly string[]): Json | undefined {
  let found: unknown = value;
  for (const key of path) found = isObject(found) ? own(found, key) : undefined;
  return found as Json | undefined;
}

/** A copy of an object with another value at a path; without one if it is undefined. */
function put(of: unknown, path: readonly string[], value: Json | undefined): JsonObject {
  const [key = "", ...rest] = path;
  const object = isObject(of) ? of : {};
  if (rest.length) return withKey(object, key, put(own(object, key), rest, value));
  return value === undefined ? without(object, key) : withKey(object, key, value);
}

// -- filters and wires -----------------------------------------------------------------------------------

function rename(doc: GraphDoc, from: string, to: string): Done {
  if (own(doc.nodes, from) === undefined) return said("change.filterGone", { filter: from });
  if (from === to) return { doc, inverse: [] };
  if (own(doc.nodes, to) !== undefined) return said("change.nameTaken", { filter: to });
  const forth = renaming(doc, from, to);
  // what named the new name before there was such a filter would go along on the way back: that is put right by itself
  return { doc: forth, inverse: [{ do: "rename", from: to, to: from }, ...repairs(doc, renaming(forth, to, from))] };
}

function renaming(doc: GraphDoc, from: string, to: string): GraphDoc {
  const name = (each: string): string => (each === from ? to : each);
  return {
    ...doc,
    nodes: renamed<FilterDoc>(doc.nodes, name),
    wires: sortedWires(doc.wires.map((each) => rewired(each, name))),
    layout: renamed(doc.layout, name),
    tests: doc.tests.map((each) => testWith(each, name)),
  };
}

/** What makes `back` the graph `start`, where they differ in wires and tests only. */
function repairs(start: GraphDoc, back: GraphDoc): readonly Change[] {
  const changes: Change[] = [];
  for (const wire of back.wires) if (!hasWire(start, wire)) changes.push({ do: "unwire", wire });
  for (const wire of start.wires) if (!hasWire(back, wire)) changes.push({ do: "wire", wire, loose: true });
  start.tests.forEach((each, index) => {
    const was = back.tests[index];
    if (was && !equal(each, was)) changes.push({ do: "test", name: testName(each), test: each, was });
  });
  return changes;
}

function wire(doc: GraphDoc, change: Change & { do: "wire" | "unwire" }, strict: boolean): Done {
  const { wire } = change;
  if (hasWire(doc, wire) === (change.do === "wire")) return { doc, inverse: [] };
  const gone = filtersOf(wire).find((filter) => own(doc.nodes, filter) === undefined);
  if (change.do === "unwire") {
    const wires = doc.wires.filter((each) => !sameWire(each, wire));
    return { doc: { ...doc, wires }, inverse: [{ do: "wire", wire, ...(gone === undefined ? {} : { loose: true }) }] };
  }
  if (strict && gone !== undefined && !change.loose) return said("change.filterGone", { filter: gone });
  return { doc: { ...doc, wires: sortedWires([...doc.wires, wire]) }, inverse: [{ do: "unwire", wire }] };
}

// -- sets and tests --------------------------------------------------------------------------------------

function member(doc: GraphDoc, key: SetKey, value: string, isThere: boolean): Done {
  if (doc[key].includes(value) === isThere) return { doc, inverse: [] };
  const values = isThere ? sortedSet([...doc[key], value]) : doc[key].filter((each) => each !== value);
  return { doc: { ...doc, [key]: values }, inverse: [{ do: isThere ? "exclude" : "include", key, value }] };
}

function test(doc: GraphDoc, change: Change & { do: "test" | "untest" }, strict: boolean): Done {
  const { name } = change;
  const { tests } = doc;
  const index = tests.findIndex((each) => testName(each) === name);
  const was = tests[index];
  const given = change.do === "test" ? change.test : undefined;
  if (was === undefined ? given === undefined || (strict && change.was) : false) return said("change.testGone", { test: name });
  if (equal(was, given)) return { doc, inverse: [] };
  if (strict && !equal(was, change.was)) return said("change.byOthers", { where: name });
  const at = was === undefined ? Math.min((change.do === "test" ? change.at : undefined) ?? tests.length, tests.length) : index;
  const rest = tests.slice(was === undefined ? at : at + 1);
  const done = { ...doc, tests: [...tests.slice(0, at), ...(given ? [given] : []), ...rest] };
  if (given === undefined) return { doc: done, inverse: was ? [{ do: "test", name, test: was, at }] : [] };
  const called = testName(given);
  return {
    doc: done,
    inverse: [was ? { do: "test", name: called, test: was, was: given } : { do: "untest", name: called, was: given }],
  };
}
