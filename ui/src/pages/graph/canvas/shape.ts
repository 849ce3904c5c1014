/** How large a filter is drawn, and where its ports are: known before anything is drawn, so that nothing has to be measured. */

import type { Comment, GraphDoc, Place } from "../../../model/graph";
import { type Catalogue, ERROR_PORT, portsOf } from "../../../model/ports";
import { tidy } from "../../../model/tidy";

export const WIDTH = 208;
export const HEAD = 48;
export const ROW = 20;
const PAD = 6;
const MOST_NUMBERED = 4;
/** The line with what a filter does just now. */
export const FOOT = 24;
/** Half the side of the area of a port. */
export const PORT = 6;
const COMMENT_SIZE: Place = [240, 56];
/** Letters in a line of a comment, about, and the height of it. */
const COMMENT_CHARS = 32;
const COMMENT_LINE = 20;

export interface Ports {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface Card extends Ports {
  readonly width: number;
  readonly height: number;
}

/** Of many numbered ports (`out1` to `out32`) those up to the first one that is free; all others as they are. */
function shown(ports: readonly string[], filter: string, used: ReadonlySet<string>): readonly string[] {
  const numbered = ports.filter((port) => /\d$/.test(port));
  if (numbered.length <= MOST_NUMBERED) return ports;
  const last = numbered.findLastIndex((port) => used.has(`${filter}.${port}`));
  const left = new Set(numbered.slice(last + 2));
  return ports.filter((port) => !left.has(port));
}

/** The cards of all filters, by name. */
export function cardsOf(graph: GraphDoc, catalogue: Catalogue, isLive: boolean): ReadonlyMap<string, Card> {
  const used = new Set(graph.wires.flat());
  return new Map(Object.keys(graph.nodes).map((name) => [name, cardOf(graph, catalogue, name, used, isLive)]));
}

function cardOf(graph: GraphDoc, catalogue: Catalogue, filter: string, used: ReadonlySet<string>, isLive: boolean): Card {
  const all = portsOf(graph, catalogue, filter);
  const [inputs, outputs] = [shown(all.inputs, filter, used), shown(all.outputs, filter, used)];
  const rows = Math.max(inputs.length, outputs.length, 1);
  return { inputs, outputs, width: WIDTH, height: HEAD + rows * ROW + PAD + (isLive ? FOOT : 0) };
}

/** The middle of the row of a port, from the top of the card. */
export const rowOf = (position: number): number => HEAD + position * ROW + ROW / 2;

/** How a port is drawn: by what comes out of it. */
export function portKind(port: string): "error" | "rest" | "packets" {
  return port === ERROR_PORT ? "error" : port === "else" || port === "rest" ? "rest" : "packets";
}

/** Where everything stands. Filters without a place are laid out, below those that have one. */
export function placesOf(graph: GraphDoc, catalogue: Catalogue, cards: ReadonlyMap<string, Card>): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>(Object.entries(graph.layout));
  const homeless = Object.keys(graph.nodes).filter((name) => !places.has(name));
  if (homeless.length === 0) return places;
  const sizes = Object.fromEntries([...cards].map(([name, card]): [string, Place] => [name, [card.width, card.height]]));
  const below = Math.max(0, ...[...places].map(([name, place]) => place[1] + (cards.get(name)?.height ?? 0)));
  const found = tidy(graph, places.size === 0 ? { catalogue, sizes } : { catalogue, sizes, only: homeless });
  for (const [name, [x, y]] of Object.entries(found)) places.set(name, [x, y + below]);
  return places;
}

/** A comment is as high as its text, unless somebody said how large it is. */
export function commentSize({ text, size }: Comment): Place {
  if (size) return size;
  const lines = text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / COMMENT_CHARS)), 0);
  return [COMMENT_SIZE[0], Math.max(COMMENT_SIZE[1], COMMENT_LINE * (lines + 1.5))];
}
