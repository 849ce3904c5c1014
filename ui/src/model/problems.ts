/** What the node says is wrong with a graph, as far as it is about a filter, a parameter, a wire: what to show, and where. */

import { type GraphDoc, type Wire, endOf, filterOf, hasWire, testName, wireKey } from "./graph";

/** As the node tells it: the place, such as `nodes.html.params.fields`, `wires.3`, `tests.0.expect`. */
export interface Fault {
  readonly where: string;
  readonly message: string;
  readonly code?: string;
}

export type Target =
  /** `path` leads on within the parameters, `option` is another key of the filter. */
  | { readonly kind: "filter"; readonly filter: string; readonly path?: readonly string[]; readonly option?: string }
  | { readonly kind: "wire"; readonly wire: Wire }
  /** Several filters: of a cycle. */
  | { readonly kind: "filters"; readonly filters: readonly string[] }
  | { readonly kind: "test"; readonly test: string }
  | { readonly kind: "comment"; readonly comment: string }
  | { readonly kind: "field"; readonly key: string }
  | { readonly kind: "graph" };

/** What a fault is about. `sent` is the graph that was checked, if its wires may have changed since. */
export function targetOf(doc: GraphDoc, fault: Fault, sent: GraphDoc = doc): Target {
  const [root = "", second = "", ...rest] = fault.where.split(".");
  if (root === "nodes" && filterOf(doc, second)) return inFilter(second, rest);
  if (root === "wires") {
    const wire = sent.wires[Number(second)];
    if (second !== "" && wire && hasWire(doc, wire)) return { kind: "wire", wire };
    const filters = cycleIn(fault.message).filter((name) => filterOf(doc, name));
    return filters.length ? { kind: "filters", filters } : { kind: "graph" };
  }
  if (root === "layout" && filterOf(doc, second)) return { kind: "filter", filter: second };
  if (root === "comments" && Object.hasOwn(doc.comments, second)) return { kind: "comment", comment: second };
  if (root === "tests") {
    const test = sent.tests[Number(second)];
    return second !== "" && test ? { kind: "test", test: testName(test) } : { kind: "graph" };
  }
  // a step of a trial, or a filter that failed while it was set up, is named by itself
  if (root && filterOf(doc, root)) return inFilter(root, [second, ...rest].filter(Boolean));
  return root && root !== "nodes" && root !== "layout" ? { kind: "field", key: root } : { kind: "graph" };
}

/** The faults of each filter, by its name: those of its parameters, its options, and the cycles through it. */
export function byFilter(
  doc: GraphDoc,
  faults: readonly Fault[],
  sent: GraphDoc = doc,
): Readonly<Record<string, readonly Fault[]>> {
  return grouped(faults, (fault) => {
    const target = targetOf(doc, fault, sent);
    return target.kind === "filter" ? [target.filter] : target.kind === "filters" ? target.filters : [];
  });
}

/** The faults of each wire, by its `wireKey`. */
export function byWire(
  doc: GraphDoc,
  faults: readonly Fault[],
  sent: GraphDoc = doc,
): Readonly<Record<string, readonly Fault[]>> {
  return grouped(faults, (fault) => {
    const target = targetOf(doc, fault, sent);
    if (target.kind === "wire") return [wireKey(target.wire)];
    if (target.kind !== "filters") return [];
    const inside = new Set(target.filters);
    return doc.wires.filter(([from, to]) => inside.has(endOf(from).filter) && inside.has(endOf(to).filter)).map(wireKey);
  });
}

/** The faults of one parameter of a filter, and of what is in it; with the path from there. */
export function ofParam(
  doc: GraphDoc,
  faults: readonly Fault[],
  filter: string,
  param: string,
): readonly { fault: Fault; path: readonly string[] }[] {
  return faults.flatMap((fault) => {
    const target = targetOf(doc, fault);
    const isHere = target.kind === "filter" && target.filter === filter && target.path?.[0] === param;
    return isHere ? [{ fault, path: target.path?.slice(1) ?? [] }] : [];
  });
}

function inFilter(filter: string, [key, ...path]: readonly string[]): Target {
  if (key === undefined) return { kind: "filter", filter };
  return key === "params" ? { kind: "filter", filter, path } : { kind: "filter", filter, option: key };
}

/** The names in "the wires close a cycle: a -> b -> a; remove one of them". */
function cycleIn(message: string): readonly string[] {
  const found = /([\w-]+(?: -> [\w-]+)+)/.exec(message)?.[1] ?? "";
  return [...new Set(found.split(" -> ").filter(Boolean))];
}

function grouped(
  faults: readonly Fault[],
  keysOf: (fault: Fault) => readonly string[],
): Readonly<Record<string, readonly Fault[]>> {
  const found = new Map<string, Fault[]>();
  for (const fault of faults) for (const key of keysOf(fault)) found.set(key, [...(found.get(key) ?? []), fault]);
  return Object.fromEntries(found);
}
