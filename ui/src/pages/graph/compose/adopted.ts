/** Graphs of the node as a draft takes them up. */

import type { DraftAnswer } from "../../../api/drafts";
import { type GraphDoc, type Wire, isWire, readGraph } from "../../../model/graph";
import { isObject, own } from "../../../model/json";

const NO_WIRE: Wire = ["", ""];

/** A graph without uids, with those that its filters have in the draft: what is deployed has none. */
export function adopted(value: unknown, doc: GraphDoc): GraphDoc {
  const { doc: read } = readGraph(value);
  const used = new Set(Object.values(doc.nodes).map((node) => node.uid));
  const nodes = Object.entries(read.nodes).map(([name, node]) => [name, { ...node, uid: used.has(name) ? name : (own(doc.nodes, name)?.uid ?? name) }] as const);
  return { ...read, nodes: Object.fromEntries(nodes) };
}

/** A draft that was begun elsewhere may have filters without one. */
export function withUids(doc: GraphDoc): GraphDoc {
  const used = new Set(Object.values(doc.nodes).map((node) => node.uid));
  const nodes = Object.entries(doc.nodes).map(([name, node]) => [name, node.uid !== undefined || used.has(name) ? node : { ...node, uid: name }] as const);
  return { ...doc, nodes: Object.fromEntries(nodes) };
}

/** Faults count wires as they stand in the draft, which others may have saved in another order. */
export function asSent(doc: GraphDoc, { graph }: DraftAnswer): GraphDoc {
  const wires = isObject(graph) ? graph["wires"] : undefined;
  return Array.isArray(wires) ? { ...doc, wires: wires.map((wire: unknown) => (isWire(wire) ? wire : NO_WIRE)) } : doc;
}
