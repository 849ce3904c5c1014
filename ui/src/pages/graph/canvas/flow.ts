/** A graph as React Flow takes it: nodes with their size and ports, edges by the ports they join. */

import { type Edge, type Node, Position } from "@xyflow/react";
import { type FilterDoc, type GraphDoc, type Place, endOf, filtersOf, wireKey } from "../../../model/graph";
import { own } from "../../../model/json";
import { type Catalogue, ERROR_PORT, type Spec, specOf } from "../../../model/ports";
import { t } from "../../../texts";
import { commentItem } from "./items";
import { type Card, PORT, cardsOf, commentSize, placesOf, rowOf } from "./shape";

/** What is shown at the head of a filter beside its name. */
export interface Badge {
  readonly text: string;
  readonly kind: "ok" | "warn" | "bad" | "off";
  /** The whole of it, for those who point at it or hear it. */
  readonly says?: string;
}

export interface Drawing {
  readonly cards: ReadonlyMap<string, Card>;
  readonly places: ReadonlyMap<string, Place>;
}

export type Badges = ReadonlyMap<string, Badge>;

/** How something on the canvas is drawn otherwise than usual, by its id: `added`, `removed` … of canvas.css. */
export interface Mark {
  readonly kind: "added" | "removed" | "changed" | "taken" | "failed" | "dim";
  readonly says?: string;
}

export type Marks = ReadonlyMap<string, Mark>;

export function marked<T extends CanvasNode | WireEdge>(drawn: readonly T[], marks: Marks | undefined): readonly T[] {
  if (!marks?.size) return drawn;
  return drawn.map((each) => {
    const mark = marks.get(each.id);
    if (!mark) return each;
    return { ...each, className: `mark-${mark.kind}`, ...(mark.says ? { ariaLabel: `${each.ariaLabel ?? ""}, ${mark.says}` } : {}) };
  });
}

export type FilterNode = Node<{ filter: FilterDoc; spec: Spec | undefined; card: Card; badge: Badge | undefined; isLive: boolean }, "filter">;
export type CommentNode = Node<{ text: string }, "comment">;
export type CanvasNode = FilterNode | CommentNode;
export type WireEdge = Edge<{ isError: boolean; isLive: boolean }, "wire">;

/** Filters in the order in which packets come to them: the order in which Tab goes through them. */
export function inOrder(graph: GraphDoc): readonly string[] {
  const names = Object.keys(graph.nodes).sort();
  const waits = new Map(names.map((name) => [name, 0]));
  const next = new Map<string, string[]>(names.map((name) => [name, []]));
  for (const wire of graph.wires) {
    const [from, to] = filtersOf(wire);
    if (!waits.has(from) || !waits.has(to)) continue;
    next.get(from)?.push(to);
    waits.set(to, (waits.get(to) ?? 0) + 1);
  }
  const ready = names.filter((name) => waits.get(name) === 0);
  for (const name of ready) {
    for (const each of next.get(name) ?? []) {
      const left = (waits.get(each) ?? 0) - 1;
      waits.set(each, left);
      if (left === 0) ready.push(each);
    }
  }
  // drafts may have ways that lead back
  return [...ready, ...names.filter((name) => !ready.includes(name))];
}

const portArea = { width: 2 * PORT, height: 2 * PORT };

function handlesOf(card: Card): NonNullable<Node["handles"]> {
  return [
    ...card.inputs.map((id, at) => ({ id, type: "target" as const, position: Position.Left, x: -PORT, y: rowOf(at) - PORT, ...portArea })),
    ...card.outputs.map((id, at) => ({ id, type: "source" as const, position: Position.Right, x: card.width - PORT, y: rowOf(at) - PORT, ...portArea })),
  ];
}

const at = ([x, y]: Place) => ({ x, y });
const sized = (width: number, height: number) => ({ width, height, measured: { width, height } });

/** Where all is drawn: it takes long where a large graph has to be laid out, and stays as long as the graph does. */
export function drawingOf(graph: GraphDoc, catalogue: Catalogue, isLive: boolean): Drawing {
  const cards = cardsOf(graph, catalogue, isLive);
  return { cards, places: placesOf(graph, catalogue, cards) };
}

export function nodesOf(graph: GraphDoc, catalogue: Catalogue, { cards, places }: Drawing, badges: Badges | undefined, isLive: boolean): readonly CanvasNode[] {
  const comments = Object.entries(graph.comments).map(
    ([id, comment]): CommentNode => ({
      id: commentItem(id),
      type: "comment",
      position: at(comment.at),
      ...sized(...commentSize(comment)),
      zIndex: -1,
      data: { text: comment.text },
      ariaLabel: t.canvas.comment(comment.text),
    }),
  );
  const filters = inOrder(graph).flatMap((name): FilterNode[] => {
    const [filter, card] = [own(graph.nodes, name), cards.get(name)];
    if (!filter || !card) return [];
    const badge = badges?.get(name);
    return [
      {
        id: name,
        type: "filter",
        position: at(places.get(name) ?? [0, 0]),
        ...sized(card.width, card.height),
        handles: handlesOf(card),
        data: { filter, spec: specOf(catalogue, filter.component), card, badge, isLive },
        ariaLabel: t.canvas.filter(name, filter.component) + (badge ? `, ${badge.says ?? badge.text}` : ""),
      },
    ];
  });
  return [...comments, ...filters];
}

export function edgesOf(graph: GraphDoc, isLive: boolean): readonly WireEdge[] {
  return graph.wires
    .filter((wire) => filtersOf(wire).every((name) => own(graph.nodes, name)))
    .map((wire): WireEdge => {
      const [from, to] = [endOf(wire[0]), endOf(wire[1])];
      return {
        id: wireKey(wire),
        type: "wire",
        source: from.filter,
        sourceHandle: from.port,
        target: to.filter,
        targetHandle: to.port,
        data: { isError: from.port === ERROR_PORT, isLive },
        ariaLabel: t.canvas.wire(wire[0], wire[1]),
      };
    });
}
