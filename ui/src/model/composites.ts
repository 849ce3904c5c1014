/** Composites in graphs: filters that are made one, one that is taken apart again, and the level of a running graph that is shown. */

import { type Change, testWith } from "./change";
import { type End, type FilterDoc, type GraphDoc, type Place, type Wire, endOf, filterOf, filtersOf, freeName, newUid, readGraph, rewired, testName, wireKey, wiresOf } from "./graph";
import { addWire, removeItems } from "./gestures";
import { type Json, type JsonObject, equal, isObject, own } from "./json";
import { COMPOSITE, type Catalogue, ERROR_PORT, specOf } from "./ports";

/** The component that has its composite within its parameters. */
const SUBGRAPH = "Subgraph";
/** Between the name of a composite's filter and those inside, in the graph that runs. */
const INSIDE = ":";
/** Stands for what a filter inside of another one is made of, whose name the running graph does not know. */
const SOMETHING = "…";

// -- filters that are made one -----------------------------------------------------------------------------

export interface Exposable {
  /** The name it would have outside. */
  readonly name: string;
  /** `filter.parameter` inside. */
  readonly sets: string;
  readonly value: Json;
}

/** The parameters that filters are given: a composite of them may take these from outside. */
export function exposable(doc: GraphDoc, filters: readonly string[]): readonly Exposable[] {
  const taken = new Set<string>();
  return filters.flatMap((filter) =>
    Object.entries(filterOf(doc, filter)?.params ?? {}).map(([param, value]): Exposable => {
      const name = free(taken, param, `${filter}-${param}`);
      return { name, sets: `${filter}.${param}`, value };
    }),
  );
}

function free(taken: Set<string>, ...wanted: readonly string[]): string {
  const plain = wanted.map((name) => name.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 60));
  const [last = "port"] = plain.slice(-1);
  let found = plain.find((name) => name && !taken.has(name));
  for (let number = 2; found === undefined; number++) if (!taken.has(`${last}${number}`)) found = `${last}${number}`;
  taken.add(found);
  return found;
}

export interface Composed {
  /** What is kept on the node. */
  readonly composite: JsonObject;
  /** What puts a filter in the place of those that it is made of. */
  readonly changes: readonly Change[];
  readonly filter: string;
}

/** Make one of some filters: what is wired to others becomes a port, and what is `exposed` a parameter. */
export function composed(doc: GraphDoc, filters: readonly string[], name: string, exposed: readonly Exposable[]): Composed {
  const inside = new Set(filters);
  const filter = freeName(doc, name);
  const inputs = new Map<string, string>();
  const outputs = new Map<string, string>();
  const [inputNames, outputNames] = [new Set<string>(), new Set<string>([ERROR_PORT])];
  const port = (ports: Map<string, string>, taken: Set<string>, end: string): string => {
    const known = ports.get(end);
    if (known !== undefined) return known;
    const made = free(taken, endOf(end).port, `${endOf(end).filter}-${endOf(end).port}`);
    ports.set(end, made);
    return made;
  };
  const crossing = doc.wires.filter((wire) => new Set(filtersOf(wire).map((each) => inside.has(each))).size === 2);
  const wires = crossing.map(([from, to]): Wire =>
    inside.has(endOf(to).filter) ? [from, `${filter}.${port(inputs, inputNames, to)}`] : [`${filter}.${port(outputs, outputNames, from)}`, to],
  );
  const nodes = filters.flatMap((each) => {
    const { uid: _, ...node } = filterOf(doc, each) ?? { component: "", params: {} };
    return node.component ? [[each, node] as const] : [];
  });
  const places = placesOf(doc, filters);
  const composite: JsonObject = {
    pypes: 1,
    name,
    inputs: Object.fromEntries([...inputs].map(([end, each]) => [each, end])),
    outputs: Object.fromEntries([...outputs].map(([end, each]) => [each, end])),
    parameters: Object.fromEntries(exposed.map((each) => [each.name, each.sets])),
    nodes: Object.fromEntries(nodes),
    wires: doc.wires.filter((wire) => filtersOf(wire).every((each) => inside.has(each))).map((wire) => [...wire]),
    layout: Object.fromEntries(filters.flatMap((each) => (own(doc.layout, each) ? [[each, [...own(doc.layout, each)!]]] : []))),
    ...(poolsOf(doc, nodes.map(([, node]) => node)) ?? {}),
  };
  const params = Object.fromEntries(exposed.map((each) => [each.name, each.value]));
  const changes: Change[] = [
    ...removeItems(doc, { filters }),
    { do: "set", path: ["nodes", filter], value: { component: name, params, uid: newUid() } },
    ...(places.length ? [{ do: "set", path: ["layout", filter], value: [...cornerOf(places)] } as const] : []),
    ...wires.map(addWire),
    ...renamedTests(doc, (each) => (inside.has(each.split(INSIDE)[0] ?? "") ? `${filter}${INSIDE}${each}` : each)),
  ];
  return { composite, changes, filter };
}

function placesOf(doc: GraphDoc, filters: readonly string[]): readonly Place[] {
  return filters.flatMap((each) => {
    const place = own(doc.layout, each);
    return place ? [place] : [];
  });
}

/** The upper left corner of places. */
function cornerOf(places: readonly Place[]): Place {
  return [Math.min(...places.map(([x]) => x)), Math.min(...places.map(([, y]) => y))];
}

/** The pools of a graph that filters name. */
function poolsOf(doc: GraphDoc, nodes: readonly FilterDoc[]): JsonObject | null {
  const pools = isObject(doc["pools"]) ? doc["pools"] : {};
  const named = nodes.flatMap((node) => (typeof node["pool"] === "string" && own(pools, node["pool"]) !== undefined ? [node["pool"]] : []));
  return named.length ? { pools: Object.fromEntries(named.map((pool) => [pool, own(pools, pool)!])) } : null;
}

function renamedTests(doc: GraphDoc, rename: (filter: string) => string): readonly Change[] {
  return doc.tests.flatMap((test): Change[] => {
    const next = testWith(test, rename);
    return equal(next, test) ? [] : [{ do: "test", name: testName(test), test: next, was: test }];
  });
}

// -- one that is taken apart -------------------------------------------------------------------------------

/** The name of a composite, and its version if one is meant. */
export interface Named {
  readonly name: string;
  readonly version: string | undefined;
}

export function isNamed(composite: JsonObject | Named): composite is Named {
  return !isObject((composite as JsonObject)["nodes"]);
}

/** The composite that a filter has within, or the name of that which it is. */
export function compositeOf(filter: FilterDoc): JsonObject | Named {
  const named = filter.component === SUBGRAPH ? filter.params["graph"] : filter.component;
  if (isObject(named)) return named;
  const [name = "", version] = String(named ?? "").split("@");
  return { name, version };
}

/** Whether a filter is made of others. */
export function isComposite(catalogue: Catalogue, filter: FilterDoc | undefined): boolean {
  return filter !== undefined && (specOf(catalogue, filter.component)?.kind === COMPOSITE || (filter.component === SUBGRAPH && !("url" in filter.params) && !("command" in filter.params)));
}

/** Put the filters of a composite in the place of one that is made of them. */
export function takenApart(doc: GraphDoc, filter: string, composite: JsonObject): { readonly changes: readonly Change[]; readonly filters: readonly string[] } {
  const node = filterOf(doc, filter);
  const inner = readGraph(composite).doc;
  const names = new Map<string, string>();
  for (const each of Object.keys(inner.nodes)) names.set(each, freeName(doc, `${filter}-${each}`, names.values()));
  const name = (each: string): string => names.get(each) ?? each;
  const given = node?.component === SUBGRAPH ? node.params["params"] : node?.params;
  const set = new Map<string, JsonObject>();
  for (const [parameter, told] of Object.entries(objectAt(composite, "parameters"))) {
    const value = isObject(given) ? own(given, parameter) : undefined;
    if (value === undefined) continue;
    for (const end of endsOf(isObject(told) ? told["sets"] : told)) set.set(end.filter, { ...set.get(end.filter), [end.port]: value });
  }
  const pools = objectAt(composite, "pools");
  const pool = (each: string): string => `${filter}-${each}`;
  const mine = isObject(doc["pools"]) ? doc["pools"] : {};
  const added = Object.fromEntries(Object.entries(pools).map(([each, value]) => [pool(each), value]));
  const nodes = Object.entries(inner.nodes).map(([each, value]): Change => {
    const own_ = typeof value["pool"] === "string" && own(pools, value["pool"]) !== undefined ? { pool: pool(value["pool"]) } : {};
    return { do: "set", path: ["nodes", name(each)], value: { ...value, ...own_, params: withGiven(value, set.get(each) ?? {}), uid: newUid() } };
  });
  const ports = (side: "inputs" | "outputs", port: string): readonly string[] => {
    const told = own(objectAt(composite, side), port);
    if (told !== undefined) return endsOf(told).map((end) => `${name(end.filter)}.${end.port}`);
    if (side === "inputs" || port !== ERROR_PORT) return [];
    const caught = new Set(inner.wires.flatMap(([from]) => (endOf(from).port === ERROR_PORT ? [endOf(from).filter] : [])));
    return Object.keys(inner.nodes).flatMap((each) => (caught.has(each) ? [] : [`${name(each)}.${ERROR_PORT}`]));
  };
  const outside = wiresOf(doc, filter).flatMap(([from, to]): Wire[] => {
    const sources = endOf(from).filter === filter ? ports("outputs", endOf(from).port) : [from];
    const targets = endOf(to).filter === filter ? ports("inputs", endOf(to).port) : [to];
    return sources.flatMap((source) => targets.map((target): Wire => [source, target]));
  });
  const at = own(doc.layout, filter);
  const corner = cornerOf(Object.values(inner.layout));
  const places = Object.entries(at ? inner.layout : {}).map(([each, [x, y]]): Change => ({
    do: "set",
    path: ["layout", name(each)],
    value: [at![0] + x - corner[0], at![1] + y - corner[1]],
  }));
  const rename = (each: string): string => {
    if (!each.startsWith(`${filter}${INSIDE}`)) return each;
    const [first = "", ...rest] = each.slice(filter.length + 1).split(INSIDE);
    return [name(first), ...rest].join(INSIDE);
  };
  return {
    changes: [
      ...removeItems(doc, { filters: [filter] }),
      ...(Object.keys(added).length ? [{ do: "set", path: ["pools"], value: { ...mine, ...added } } as const] : []),
      ...nodes,
      ...places,
      ...[...inner.wires.map((wire) => rewired(wire, name)), ...outside].map(addWire),
      ...renamedTests(doc, rename),
    ],
    filters: [...names.values()],
  };
}

function withGiven(filter: FilterDoc, given: JsonObject): JsonObject {
  if (filter.component !== SUBGRAPH) return { ...filter.params, ...given };
  const params = filter.params["params"];
  return Object.keys(given).length ? { ...filter.params, params: { ...(isObject(params) ? params : {}), ...given } } : filter.params;
}

function objectAt(of: JsonObject, key: string): JsonObject {
  const found = of[key];
  return isObject(found) ? found : {};
}

function endsOf(told: Json | undefined): readonly End[] {
  const texts: readonly unknown[] = Array.isArray(told) ? told : [told];
  return texts.flatMap((text) => (typeof text === "string" && text.includes(".") ? [endOf(text)] : []));
}

// -- the level that is shown -------------------------------------------------------------------------------

/** What is drawn of a graph that runs: all of it as it is written, or what one filter is made of. */
export interface Level {
  readonly doc: GraphDoc;
  /** The filters that run, by the drawn one that is made of them. */
  readonly inside: ReadonlyMap<string, readonly string[]>;
  /** The wires that run, by the key of the drawn one. */
  readonly wires: ReadonlyMap<string, readonly Wire[]>;
}

/** The level within a filter, empty for the graph itself; `expanded` is the graph that runs, if others are in it. */
export function levelOf(written: GraphDoc, expanded: GraphDoc | undefined, within: string): Level {
  if (!expanded) return { doc: written, inside: new Map(), wires: new Map(written.wires.map((wire) => [wireKey(wire), [wire]])) };
  const prefix = within ? `${within}${INSIDE}` : "";
  const shown = (filter: string): string => prefix + (filter.slice(prefix.length).split(INSIDE)[0] ?? "");
  const inside = new Map<string, string[]>();
  for (const filter of Object.keys(expanded.nodes)) {
    if (!filter.startsWith(prefix) || shown(filter) === filter) continue;
    inside.set(shown(filter), [...(inside.get(shown(filter)) ?? []), filter]);
  }
  if (!within) {
    const fits = (end: string, other: string): boolean => (inside.has(endOf(end).filter) ? shown(endOf(other).filter) === endOf(end).filter : end === other);
    const wires = written.wires.map(([from, to]) => [wireKey([from, to]), expanded.wires.filter((each) => fits(from, each[0]) && fits(to, each[1]))] as const);
    return { doc: written, inside, wires: new Map(wires) };
  }
  const names = [...new Set(Object.keys(expanded.nodes).flatMap((filter) => (filter.startsWith(prefix) ? [shown(filter)] : [])))];
  const end = (text: string): string => {
    const { filter, port } = endOf(text);
    return shown(filter) === filter ? text : `${shown(filter)}.${filter.slice(shown(filter).length + 1)}.${port}`;
  };
  const wires = new Map<string, Wire[]>();
  const drawn = new Map<string, Wire>();
  for (const wire of expanded.wires) {
    const [from, to] = filtersOf(wire);
    if (!from.startsWith(prefix) || !to.startsWith(prefix) || (shown(from) === shown(to) && shown(from) !== from)) continue;
    const made: Wire = [end(wire[0]), end(wire[1])];
    drawn.set(wireKey(made), made);
    wires.set(wireKey(made), [...(wires.get(wireKey(made)) ?? []), wire]);
  }
  const place = (name: string): readonly [string, Place][] => {
    const places = placesOf(expanded, inside.get(name) ?? [name]);
    return places.length ? [[name, cornerOf(places)]] : [];
  };
  const doc: GraphDoc = {
    ...written,
    nodes: Object.fromEntries(names.map((name) => [name, own(expanded.nodes, name) ?? { component: SOMETHING, params: {} }])),
    wires: [...drawn.values()],
    layout: Object.fromEntries(names.flatMap(place)),
    comments: {},
    tests: [],
  };
  return { doc, inside, wires };
}

/** The catalogue with what stands for filters inside that are made of others. */
export function withParts(catalogue: Catalogue): Catalogue {
  return { ...catalogue, [SOMETHING]: { name: SOMETHING, kind: COMPOSITE, doc: "", inputs: {}, outputs: {}, schema: {} } };
}

/** The filter of the graph as it is written in which another one is: itself, if it is in none. */
export function outermost(filter: string): string {
  return filter.split(INSIDE)[0] ?? filter;
}

/** The filter within which another one is, empty for none. */
export function around(filter: string): string {
  return filter.includes(INSIDE) ? filter.slice(0, filter.lastIndexOf(INSIDE)) : "";
}

/** The filters within which another one is, from the outside, itself the last. */
export function wayTo(filter: string): readonly string[] {
  const parts = filter ? filter.split(INSIDE) : [];
  return parts.map((_, at) => parts.slice(0, at + 1).join(INSIDE));
}
