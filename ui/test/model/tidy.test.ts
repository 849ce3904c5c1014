import assert from "node:assert/strict";
import { test } from "node:test";
import { apply } from "../../src/model/change";
import * as gestures from "../../src/model/gestures";
import { type GraphDoc, type Place, filtersOf, readGraph } from "../../src/model/graph";
import { FILTER_SIZE, tidy } from "../../src/model/tidy";
import { graph, seeded } from "./random";

function overlap(one: Place, other: Place): boolean {
  return Math.abs(one[0] - other[0]) < FILTER_SIZE[0] && Math.abs(one[1] - other[1]) < FILTER_SIZE[1];
}

function big(filters: number): GraphDoc {
  const name = (index: number): string => `f${index}`;
  const wires = Array.from({ length: Math.floor((filters * 4) / 3) }, (_, index) => [
    `${name((index * 7) % filters)}.out`,
    `${name(Math.min(filters - 1, ((index * 7) % filters) + 1 + (index % 5)))}.in`,
  ]);
  return readGraph({
    nodes: Object.fromEntries(Array.from({ length: filters }, (_, index) => [name(index), { component: "Batch" }])),
    wires: wires.filter(([from, to]) => from?.split(".")[0] !== to?.split(".")[0]),
  }).doc;
}

test("wires lead from left to right, and filters do not lie on each other", () => {
  const doc = big(60);
  const places = tidy(doc);
  for (const wire of doc.wires) {
    const [from, to] = filtersOf(wire);
    assert.ok((places[from]?.[0] ?? 0) < (places[to]?.[0] ?? 0), wire.join(" "));
  }
  const all = Object.values(places);
  all.forEach((one, index) => assert.ok(!all.slice(index + 1).some((other) => overlap(one, other))));
});

test("the same graph is laid out in the same way, in whatever order it is written, and cycles are no harm", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const doc = graph(seeded(seed));
    const turned = { ...doc, nodes: Object.fromEntries(Object.entries(doc.nodes).reverse()), wires: [...doc.wires].reverse() };
    assert.deepEqual(tidy(turned), tidy(doc), `seed ${seed}`);
    assert.deepEqual(gestures.move(apply(doc, gestures.move(doc, { filters: tidy(doc) })).doc, { filters: tidy(doc) }), []);
  }
});

test("of a selection the corner stays, and the rest does not move", () => {
  const doc = readGraph({
    nodes: { a: { component: "JSON" }, b: { component: "Batch" }, c: { component: "Null" } },
    wires: [
      ["a.out", "b.in"],
      ["b.out", "c.in"],
    ],
    layout: { a: [800, 640], b: [400, 320], c: [0, 0] },
  }).doc;
  const places = tidy(doc, { only: ["a", "b", "nobody"] });
  assert.deepEqual(Object.keys(places), ["a", "b"]);
  assert.deepEqual(places["a"], [400, 320]);
  assert.deepEqual(tidy(readGraph({}).doc), {});
});

test("outputs lead downwards in their order", () => {
  const names = ["one", "two", "three", "four"];
  const doc = readGraph({
    nodes: { route: { component: "Route" }, ...Object.fromEntries(names.map((name) => [name, { component: "Null" }])) },
    wires: names.map((name, index) => [`route.out${index + 1}`, `${name}.in`]),
  }).doc;
  const outputs = Object.fromEntries(names.map((_, index) => [`out${index + 1}`, ""]));
  const spec = { name: "Route", kind: "OPERATOR", doc: "", inputs: { in: "" }, outputs, schema: {} };
  const places = tidy(doc, { catalogue: { Route: spec } });
  const rows = names.map((name) => places[name]?.[1] ?? 0);
  assert.deepEqual(
    rows,
    [...rows].sort((one, other) => one - other),
  );
});

test("filters may be called like what every object has", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "x y.z ü"];
  const doc = readGraph({
    nodes: Object.fromEntries(names.map((name) => [name, { component: "Batch" }])),
    wires: [
      ["__proto__.out", "constructor.in"],
      ["constructor.out", "toString.in"],
      ["toString.out", "__proto__.in"],
    ],
  }).doc;
  for (const only of [undefined, ["__proto__"], names]) {
    const places = Object.entries(tidy(doc, only ? { only } : {}));
    assert.deepEqual(places.map(([name]) => name).sort(), [...(only ?? names)].sort());
    for (const [name, place] of places) assert.ok(place.length === 2 && place.every(Number.isFinite), name);
    assert.equal(new Set(places.map(([, place]) => place.join())).size, places.length);
  }
});
