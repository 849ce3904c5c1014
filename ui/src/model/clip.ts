/** What is copied: a part of a graph as JSON text, which may as well come from another program, a mail or a graph file. */

import { type Comment, type FilterDoc, type GraphDoc, type Place, type Wire, filterOf, filtersOf, readGraph } from "./graph";
import { type JsonObject, type Said, isObject, own, said } from "./json";

export interface Clip {
  readonly nodes: Readonly<Record<string, FilterDoc>>;
  readonly wires: readonly Wire[];
  readonly layout: Readonly<Record<string, Place>>;
  readonly comments: Readonly<Record<string, Comment>>;
}

/** More than anybody pastes on purpose. */
const LONGEST = 4 * 1024 * 1024;
const MOST_FILTERS = 2000;

export interface Chosen {
  readonly filters: readonly string[];
  readonly comments?: readonly string[];
}

/** The chosen filters with the wires between them, and the chosen comments. */
export function clipOf(doc: GraphDoc, { filters, comments = [] }: Chosen): Clip {
  const inside = new Set(filters);
  return {
    nodes: pick(doc.nodes, filters),
    wires: doc.wires.filter((wire) => filtersOf(wire).every((name) => inside.has(name))),
    layout: pick(doc.layout, filters),
    comments: pick(doc.comments, comments),
  };
}

/** That as text: a graph file without a name, one filter in a line. */
export function copy(doc: GraphDoc, chosen: Chosen): string {
  const { nodes, ...rest } = clipOf(doc, chosen);
  const plain = Object.entries(nodes).map(([name, { uid: _, ...node }]): [string, JsonObject] => [name, node]);
  const lines = (entries: readonly string[]): string => entries.map((entry) => `\n  ${entry}`).join(",");
  const map = (of: object): string =>
    `{${lines(Object.entries(of).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`))}}`;
  const wires = rest.wires.map((wire) => JSON.stringify(wire));
  const parts = [
    `"pypes": 1`,
    `"nodes": ${map(Object.fromEntries(plain))}`,
    `"wires": [${lines(wires)}]`,
    `"layout": ${map(rest.layout)}`,
  ];
  if (Object.keys(rest.comments).length) parts.push(`"comments": ${map(rest.comments)}`);
  return `{${parts.join(",\n ")}}\n`;
}

/** What a text holds: a copied part, a graph file, its filters alone, or one filter. Otherwise, why it cannot be pasted. */
export function readClip(text: string): Clip | Said {
  if (text.length > LONGEST) return said("clip.long");
  // from a chat or a page: in a block of code, or with a mark of its encoding
  const bare = text
    .replace(/^\uFEFF/, "")
    .trim()
    .replace(/^```\w*\n([\s\S]*)\n```$/, "$1");
  let given: unknown;
  try {
    given = JSON.parse(bare);
  } catch {
    return said("clip.noJson");
  }
  if (!isObject(given)) return said("clip.noGraph");
  const graph = isObject(given["nodes"]) || isObject(given["comments"]) ? given : { nodes: filtersIn(given) };
  const { doc } = readGraph(graph);
  const names = Object.keys(doc.nodes);
  if (!names.length && !Object.keys(doc.comments).length) return said("clip.noGraph");
  if (names.length > MOST_FILTERS) return said("clip.many", { most: MOST_FILTERS });
  const wires = doc.wires.filter((wire) => filtersOf(wire).every((name) => filterOf(doc, name)));
  return { nodes: doc.nodes, wires, layout: doc.layout, comments: doc.comments };
}

/** Filters without a graph around them: by name, or a single one. */
function filtersIn(given: JsonObject): JsonObject {
  return typeof given["component"] === "string" ? { [given["component"].toLowerCase()]: given } : given;
}

function pick<T>(of: Readonly<Record<string, T>>, keys: readonly string[]): Record<string, T> {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = own(of, key);
      return value === undefined ? [] : [[key, value]];
    }),
  );
}
