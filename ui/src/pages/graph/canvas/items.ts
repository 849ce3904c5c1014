/** The things on the canvas by one kind of id: filters by their name, wires by `wireKey`, comments with a prefix that no name has. */

import type { GraphDoc, Wire } from "../../../model/graph";
import { wireKey } from "../../../model/graph";

const COMMENT = "comment:";

export const commentItem = (id: string): string => COMMENT + id;

export interface Items {
  readonly filters: readonly string[];
  readonly wires: readonly Wire[];
  readonly comments: readonly string[];
}

/** What is meant by ids of a selection, as far as the graph still has it. */
export function itemsOf(graph: GraphDoc, ids: Iterable<string>): Items {
  const found = new Set(ids);
  return {
    filters: Object.keys(graph.nodes).filter((name) => found.has(name)),
    wires: graph.wires.filter((wire) => found.has(wireKey(wire))),
    comments: Object.keys(graph.comments).filter((id) => found.has(commentItem(id))),
  };
}
