/** What people do to a graph, each as a list of changes: one gesture is one step to undo. */

import { type Change, at } from "./change";
import type { Clip } from "./clip";
import {
  type Comment,
  type End,
  type FilterDoc,
  type GraphDoc,
  type Place,
  type Wire,
  endOf,
  filterOf,
  filtersOf,
  freeName,
  freeTestName,
  isName,
  newUid,
  rewired,
  sameWire,
  testName,
  wireOf,
  wiresOf,
} from "./graph";
import { type Json, type JsonObject, type Said, isObject, own, said } from "./json";

/** Grid of the canvas: what is placed lies on it. */
export const GRID = 8;
/** How far beside the original a copy is placed. */
const BESIDE: Place = [4 * GRID, 4 * GRID];

export interface NewFilter {
  readonly component: string;
  readonly name?: string;
  readonly params?: JsonObject;
  readonly at?: Place;
  /** An output that is wired to `port` of the new filter. */
  readonly from?: { readonly end: End; readonly port: string };
  /** An input that `port` of the new filter is wired to. */
  readonly to?: { readonly end: End; readonly port: string };
}

export interface Items {
  readonly filters?: readonly string[];
  readonly wires?: readonly Wire[];
  readonly comments?: readonly string[];
}

// -- filters ---------------------------------------------------------------------------------------------

export function addFilter(doc: GraphDoc, wanted: NewFilter): { changes: readonly Change[]; name: string } {
  const name = freeName(doc, wanted.name ?? wanted.component.toLowerCase());
  const filter: FilterDoc = { component: wanted.component, params: wanted.params ?? {}, uid: newUid() };
  const changes: Change[] = [{ do: "set", path: ["nodes", name], value: filter }];
  if (wanted.at) changes.push({ do: "set", path: ["layout", name], value: onGrid(wanted.at) });
  if (wanted.from) changes.push(addWire(wireOf(wanted.from.end, { filter: name, port: wanted.from.port })));
  if (wanted.to) changes.push(addWire(wireOf({ filter: name, port: wanted.to.port }, wanted.to.end)));
  return { changes, name };
}

/** Remove filters with their wires, and whatever else is chosen. Tests that name a filter stay: their problem is shown. */
export function removeItems(doc: GraphDoc, { filters = [], wires = [], comments = [] }: Items): readonly Change[] {
  const gone = new Set(filters);
  const cut = doc.wires.filter(
    (wire) => filtersOf(wire).some((name) => gone.has(name)) || wires.some((each) => sameWire(each, wire)),
  );
  return [
    ...cut.map((wire): Change => ({ do: "unwire", wire })),
    ...filters.filter((name) => filterOf(doc, name)).map((name): Change => ({ do: "unset", path: ["nodes", name] })),
    ...comments.filter((id) => own(doc.comments, id)).map((id): Change => ({ do: "unset", path: ["comments", id] })),
  ];
}

/** Remove a filter, and wire what fed it to what it fed. */
export function removeAndHeal(doc: GraphDoc, name: string): readonly Change[] {
  const others = wiresOf(doc, name).filter((wire) => new Set(filtersOf(wire)).size === 2);
  const before = others.filter(([, to]) => endOf(to).filter === name);
  const after = others.filter(([from]) => endOf(from).filter === name && endOf(from).port !== "error");
  const healed = before.flatMap(([from]) => after.map(([, to]) => addWire([from, to])));
  return [...removeItems(doc, { filters: [name] }), ...healed];
}

/** The reason why a filter cannot be called so, or null. */
export function whyNoName(doc: GraphDoc, from: string, to: string): Said | null {
  if (!isName(to)) return said("name.form");
  return from !== to && filterOf(doc, to) ? said("change.nameTaken", { filter: to }) : null;
}

export function renameFilter(from: string, to: string): readonly Change[] {
  return [{ do: "rename", from, to }];
}

/** Set a value within the parameters of a filter; objects on the way are made. */
export function setParam(doc: GraphDoc, filter: string, path: readonly string[], value: Json): readonly Change[] {
  const params = filterOf(doc, filter)?.params ?? {};
  // the longest beginning of the path at which there is an object
  const known = path.findIndex((_, length) => !isObject(at(params, path.slice(0, length + 1))));
  const depth = known < 0 ? path.length : Math.min(known + 1, path.length);
  const made = path.slice(depth).reduceRight<Json>((inner, key) => ({ [key]: inner }), value);
  return [{ do: "set", path: ["nodes", filter, "params", ...path.slice(0, depth)], value: made }];
}

export function unsetParam(filter: string, path: readonly string[]): readonly Change[] {
  return [{ do: "unset", path: ["nodes", filter, "params", ...path] }];
}

/** `component`, `timeout_s`, `pool` … of a filter; undefined removes it. */
export function setOption(filter: string, key: string, value: Json | undefined): readonly Change[] {
  return [setOrUnset(["nodes", filter, key], value)];
}

/** A key of the graph: `description`, `limits` …; undefined removes it. */
export function setKey(key: string, value: Json | undefined): readonly Change[] {
  return [setOrUnset([key], value)];
}

// -- wires -----------------------------------------------------------------------------------------------

export function addWire(wire: Wire): Change {
  return { do: "wire", wire };
}

export function removeWire(wire: Wire): Change {
  return { do: "unwire", wire };
}

export function reconnect(from: Wire, to: Wire): readonly Change[] {
  return [removeWire(from), addWire(to)];
}

/** Lead a wire through a filter that is there. */
export function splice(
  wire: Wire,
  filter: string,
  ports: { readonly input: string; readonly output: string },
): readonly Change[] {
  return [removeWire(wire), addWire([wire[0], `${filter}.${ports.input}`]), addWire([`${filter}.${ports.output}`, wire[1]])];
}

/** Lead a wire through a new filter. */
export function insert(
  doc: GraphDoc,
  wire: Wire,
  wanted: NewFilter & { readonly input: string; readonly output: string },
): { changes: readonly Change[]; name: string } {
  const { changes, name } = addFilter(doc, wanted);
  return { changes: [...changes, ...splice(wire, name, wanted)], name };
}

// -- places ----------------------------------------------------------------------------------------------

export interface Places {
  readonly filters?: Readonly<Record<string, Place>>;
  readonly comments?: Readonly<Record<string, Place>>;
}

/** Move what is named to where it is said; what stays where it is makes no change. */
export function move(doc: GraphDoc, { filters = {}, comments = {} }: Places): readonly Change[] {
  return [
    ...Object.entries(filters)
      .filter(([name, place]) => filterOf(doc, name) && !isAt(own(doc.layout, name), place))
      .map(([name, place]): Change => ({ do: "set", path: ["layout", name], value: onGrid(place) })),
    ...Object.entries(comments)
      .filter(([id, place]) => own(doc.comments, id) && !isAt(own(doc.comments, id)?.at, place))
      .map(([id, place]): Change => ({ do: "set", path: ["comments", id, "at"], value: onGrid(place) })),
  ];
}

function onGrid([x, y]: Place): Place {
  return [Math.round(x / GRID) * GRID, Math.round(y / GRID) * GRID];
}

function isAt(one: Place | undefined, other: Place): boolean {
  const place = onGrid(other);
  return one !== undefined && one[0] === place[0] && one[1] === place[1];
}

// -- routes, tests, comments -----------------------------------------------------------------------------

export function addRoute(route: string): readonly Change[] {
  return [{ do: "include", key: "routes", value: route }];
}

export function removeRoute(route: string): readonly Change[] {
  return [{ do: "exclude", key: "routes", value: route }];
}

/** Add a test, under another name if there is one of its name. */
export function addTest(doc: GraphDoc, test: JsonObject): { changes: readonly Change[]; name: string } {
  const name = freeTestName(doc.tests, testName(test) || `test ${doc.tests.length + 1}`);
  return { changes: [{ do: "test", name, test: { ...test, name } }], name };
}

export function setTest(name: string, test: JsonObject): readonly Change[] {
  return [{ do: "test", name, test }];
}

export function removeTest(name: string): readonly Change[] {
  return [{ do: "untest", name }];
}

export function addComment(comment: Comment): { changes: readonly Change[]; id: string } {
  const id = newUid();
  return { changes: [{ do: "set", path: ["comments", id], value: plain({ ...comment, at: onGrid(comment.at) }) }], id };
}

export function setComment(id: string, { text, at: place, size }: Partial<Comment>): readonly Change[] {
  const set = (key: string, value: Json): Change => ({ do: "set", path: ["comments", id, key], value });
  return [
    ...(text === undefined ? [] : [set("text", text)]),
    ...(place ? [set("at", onGrid(place))] : []),
    ...(size ? [set("size", onGrid(size))] : []),
  ];
}

export function removeComment(id: string): readonly Change[] {
  return [{ do: "unset", path: ["comments", id] }];
}

// -- copies ----------------------------------------------------------------------------------------------

export interface Pasted {
  readonly changes: readonly Change[];
  /** The names and ids of what is new, to be chosen then. */
  readonly filters: readonly string[];
  readonly comments: readonly string[];
}

/** Add what was copied, under free names. Its upper left corner is `corner`; without one, it is a little beside the original. */
export function paste(doc: GraphDoc, clip: Clip, corner?: Place): Pasted {
  const names = new Map<string, string>();
  for (const name of Object.keys(clip.nodes)) names.set(name, freeName(doc, name, names.values()));
  const name = (filter: string): string => names.get(filter) ?? filter;
  const places = [...Object.values(clip.layout), ...Object.values(clip.comments).map((comment) => comment.at)];
  const offset: Place = corner && places.length ? [corner[0] - least(places, 0), corner[1] - least(places, 1)] : BESIDE;
  const moved = ([x, y]: Place): Place => onGrid([x + offset[0], y + offset[1]]);
  const comments = Object.values(clip.comments).map((comment) => ({
    id: newUid(),
    comment: { ...comment, at: moved(comment.at) },
  }));
  return {
    changes: [
      ...Object.entries(clip.nodes).map(([old, node]): Change => ({
        do: "set",
        path: ["nodes", name(old)],
        value: { ...node, uid: newUid() },
      })),
      ...Object.entries(clip.layout).map(([old, place]): Change => ({
        do: "set",
        path: ["layout", name(old)],
        value: moved(place),
      })),
      ...clip.wires.map((wire): Change => addWire(rewired(wire, name))),
      ...comments.map(({ id, comment }): Change => ({ do: "set", path: ["comments", id], value: plain(comment) })),
    ],
    filters: [...names.values()],
    comments: comments.map(({ id }) => id),
  };
}

function least(places: readonly Place[], axis: 0 | 1): number {
  return Math.min(...places.map((place) => place[axis]));
}

function plain(comment: Comment): Json {
  return { text: comment.text, at: comment.at, ...(comment.size ? { size: comment.size } : {}) };
}

function setOrUnset(path: readonly string[], value: Json | undefined): Change {
  return value === undefined ? { do: "unset", path } : { do: "set", path, value };
}
