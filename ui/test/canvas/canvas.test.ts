/** Where filters are drawn, how large, and where the arrow keys lead. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { readGraph } from "../../src/model/graph";
import { itemsOf } from "../../src/pages/graph/canvas/items";
import { cardsOf, placesOf } from "../../src/pages/graph/canvas/shape";
import { nextFilter } from "../../src/pages/graph/canvas/way";

const ports = (...names: string[]) => Object.fromEntries(names.map((name) => [name, ""]));
const specs = {
  Take: { name: "Take", kind: "ADAPTER", doc: "", inputs: ports("in"), outputs: ports("out"), schema: {} },
  Route: { name: "Route", kind: "OPERATOR", doc: "", inputs: ports("in"), outputs: ports(...Array.from({ length: 32 }, (_, at) => `out${at + 1}`), "else"), schema: {} },
};
const { doc: graph } = readGraph({
  pypes: 1,
  name: "ways",
  nodes: { take: { component: "Take" }, route: { component: "Route" }, high: { component: "Take" }, low: { component: "Absent" } },
  wires: [["take.out", "route.in"], ["route.out2", "high.in"], ["route.else", "low.in"]],
});

test("a card shows the ports up to the first that is free, the rest, and errors", () => {
  const cards = cardsOf(graph, specs, false);
  assert.deepEqual(cards.get("route")?.outputs, ["out1", "out2", "out3", "else", "error"]);
  // of a component that is not there: what is wired
  assert.deepEqual(cards.get("low")?.inputs, ["in"]);
});

test("filters without a place are laid out, and those that have one stay", () => {
  const cards = cardsOf(graph, specs, true);
  const all = placesOf(graph, specs, cards);
  assert.equal(all.size, 4);
  assert.ok((all.get("take")?.[0] ?? 0) < (all.get("route")?.[0] ?? 0));
  const some = placesOf({ ...graph, layout: { take: [8, 800], route: [400, 800] } }, specs, cards);
  assert.deepEqual(some.get("take"), [8, 800]);
  assert.ok((some.get("high")?.[1] ?? 0) > 800 + (cards.get("route")?.height ?? 0));
});

test("arrows lead to the nearest filter, along a wire if there is one", () => {
  const places = new Map<string, readonly [number, number]>([["take", [0, 0]], ["route", [400, 100]], ["high", [800, 0]], ["low", [800, 200]]]);
  const go = (from: string, dx: number, dy: number) => nextFilter(graph, places, from, [dx, dy]);
  assert.equal(go("take", 1, 0), "route");
  assert.equal(go("high", -1, 0), "route");
  assert.equal(go("high", 0, 1), "low");
  assert.equal(go("take", -1, 0), undefined);
});

test("ids of a selection name what the graph still has", () => {
  const found = itemsOf({ ...graph, comments: { why: { text: "", at: [0, 0] } } }, ["take", "gone", "comment:why", "take.out route.in"]);
  assert.deepEqual(found, { filters: ["take"], wires: [["take.out", "route.in"]], comments: ["why"] });
});
