/** Two versions of a graph as one drawing: all that is in either, and what became of each part. */

import { type Difference, difference } from "./difference";
import { type GraphDoc, type Wire, filterOf, freeName, rewired, sortedWires, wireKey } from "./graph";
import { own } from "./json";

export type Mark = "added" | "removed" | "changed";

export interface Both {
  /** The later version with what the earlier one had besides. */
  readonly doc: GraphDoc;
  /** By the name of a filter in `doc`, or the key of a wire. */
  readonly marks: ReadonlyMap<string, Mark>;
  readonly difference: Difference;
  /** The name in `doc` of a filter that was removed, where a new one has taken its name. */
  readonly removed: ReadonlyMap<string, string>;
}

export function both(before: GraphDoc, after: GraphDoc): Both {
  const found = difference(before, after);
  const { filters, wires } = found;
  const marks = new Map<string, Mark>();
  for (const name of filters.added) marks.set(name, "added");
  for (const { name, params, options, from } of filters.changed) if (params.length || options.length || from !== undefined) marks.set(name, "changed");

  let doc = after;
  const removed = new Map<string, string>();
  for (const name of filters.removed) {
    const filter = filterOf(before, name);
    if (!filter) continue;
    const shown = filterOf(after, name) ? freeName(doc, name) : name;
    removed.set(name, shown);
    const place = own(before.layout, name);
    doc = { ...doc, nodes: { ...doc.nodes, [shown]: filter }, layout: place ? { ...doc.layout, [shown]: place } : doc.layout };
    marks.set(shown, "removed");
  }
  // wires that went end at names of before: some filters are called otherwise now
  const names = new Map(filters.changed.flatMap(({ name, from }) => (from === undefined ? [] : [[from, name] as const])));
  const gone = wires.removed.map((wire): Wire => rewired(wire, (name) => removed.get(name) ?? names.get(name) ?? name));
  for (const wire of wires.added) marks.set(wireKey(wire), "added");
  for (const wire of gone) if (!marks.has(wireKey(wire))) marks.set(wireKey(wire), "removed");
  return { doc: { ...doc, wires: sortedWires([...doc.wires, ...gone]) }, marks, difference: found, removed };
}
