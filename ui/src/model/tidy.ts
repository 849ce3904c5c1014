/** Automatic layout: from left to right along the wires. The same graph is laid out in the same way. */

import { Graph, layout } from "@dagrejs/dagre";
import { type GraphDoc, type Place, type Wire, compare, endOf, filtersOf, wireKey } from "./graph";
import { GRID } from "./gestures";
import { own } from "./json";
import { type Catalogue, portsOf } from "./ports";

/** Size of a filter that is not measured yet. */
export const FILTER_SIZE: Place = [208, 72];
const BETWEEN_COLUMNS = 96;
const BETWEEN_ROWS = 32;

export interface TidyOptions {
  /** The sizes of filters as drawn. */
  readonly sizes?: Readonly<Record<string, Place>>;
  /** For the order of ports. */
  readonly catalogue?: Catalogue;
  /** Only these are moved: their corner stays. */
  readonly only?: readonly string[];
}

/** Where each filter would be drawn, by its name. */
export function tidy(doc: GraphDoc, { sizes = {}, catalogue = {}, only }: TidyOptions = {}): Record<string, Place> {
  const names = (only ?? Object.keys(doc.nodes)).filter((name) => own(doc.nodes, name)).sort(compare);
  if (!names.length) return {};
  const inside = new Set(names);
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", ranksep: BETWEEN_COLUMNS, nodesep: BETWEEN_ROWS, marginx: 0, marginy: 0 });
  const size = (name: string): Place => own(sizes, name) ?? FILTER_SIZE;
  for (const name of names) graph.setNode(idOf(name), { width: size(name)[0], height: size(name)[1] });
  const wires = doc.wires.filter((wire) => filtersOf(wire).every((name) => inside.has(name)));
  // dagre begins with the order in which wires come: that of the ports that they leave
  const ranks = new Map(wires.map(([end]) => [end, portsOf(doc, catalogue, endOf(end).filter).outputs.indexOf(endOf(end).port)]));
  const rank = (end: string): number => ranks.get(end) ?? -1;
  const ordered = [...wires].sort(
    (a, b) => compare(filtersOf(a)[0], filtersOf(b)[0]) || rank(a[0]) - rank(b[0]) || compare(wireKey(a), wireKey(b)),
  );
  // a failure is no main way: it bends rather than the others
  for (const wire of ordered) {
    const [from, to] = filtersOf(wire);
    graph.setEdge(idOf(from), idOf(to), { weight: wire[0].endsWith(".error") ? 1 : 3 }, wireKey(wire));
  }
  layout(graph);
  const middle = (name: string): number => (graph.node(idOf(name)) as { y: number }).y;
  // upside down there are as many crossings: so the ports are in their order as often as can be
  const turn = inversions(ordered, middle, rank) > 0 ? -1 : 1;
  const corner = (name: string): Place => {
    const { x } = graph.node(idOf(name)) as { x: number };
    return [x - size(name)[0] / 2, turn * middle(name) - size(name)[1] / 2];
  };
  const corners = new Map(names.map((name) => [name, corner(name)]));
  const offset = [0, 1].map((axis) => {
    const least = Math.min(...[...corners.values()].map((place) => place[axis as 0 | 1]));
    const placed = only ? names.flatMap((name) => own(doc.layout, name)?.[axis as 0 | 1] ?? []) : [];
    return (placed.length ? Math.min(...placed) : 5 * GRID) - least;
  }) as unknown as Place;
  return Object.fromEntries([...corners].map(([name, [x, y]]) => [name, [snap(x + offset[0]), snap(y + offset[1])] as const]));
}

/** A filter as dagre calls it, which keeps its nodes as keys of objects: `__proto__` would be none, and numbers would come first. */
function idOf(filter: string): string {
  return `filter ${filter}`;
}

/** Pairs of outputs of one filter that lead to filters in the wrong order, less those that are right. */
function inversions(wires: readonly Wire[], middle: (name: string) => number, rank: (end: string) => number): number {
  let found = 0;
  for (const [index, [from, to]] of wires.entries()) {
    for (const [other, below] of wires.slice(index + 1)) {
      if (endOf(other).filter !== endOf(from).filter) break;
      if (rank(other) !== rank(from)) found += Math.sign(middle(endOf(to).filter) - middle(endOf(below).filter));
    }
  }
  return found;
}

function snap(value: number): number {
  return Math.round(value / GRID) * GRID;
}
