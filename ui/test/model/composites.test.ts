import assert from "node:assert/strict";
import { test } from "node:test";
import { apply } from "../../src/model/change";
import { around, composed, compositeOf, exposable, isComposite, levelOf, takenApart, wayTo } from "../../src/model/composites";
import { type GraphDoc, readGraph, wireKey } from "../../src/model/graph";
import { specOf } from "../../src/model/ports";

function graph(more: object = {}): GraphDoc {
  return readGraph({
    name: "g",
    nodes: {
      json: { component: "JSON" },
      strip: { component: "Strip", params: { fields: ["a"], text: "x" }, uid: "u1", pool: "two" },
      lower: { component: "Lower", params: { fields: ["a"] }, uid: "u2" },
      out: { component: "Keep" },
      bad: { component: "Keep" },
    },
    wires: [
      ["json.out", "strip.in"],
      ["strip.out", "lower.in"],
      ["lower.out", "out.in"],
      ["strip.error", "bad.in"],
    ],
    layout: { json: [0, 0], strip: [200, 40], lower: [400, 24] },
    tests: [{ name: "t", expect: [{ node: "lower", packets: 1 }] }],
    pools: { two: { processes: 2 }, other: { threads: 2 } },
    ...more,
  }).doc;
}

const done = (doc: GraphDoc, changes: Parameters<typeof apply>[1]): GraphDoc => {
  const { doc: after, skipped } = apply(doc, changes);
  assert.deepEqual(skipped, []);
  return after;
};

test("filters become one: what is wired to others is a port, and what is exposed a parameter", () => {
  const doc = graph();
  const can = exposable(doc, ["strip", "lower"]);
  assert.deepEqual(
    can.map(({ name, sets }) => [name, sets]),
    [
      ["fields", "strip.fields"],
      ["text", "strip.text"],
      ["lower-fields", "lower.fields"],
    ],
  );
  const made = composed(doc, ["strip", "lower"], "clean", [can[1]!]);
  assert.deepEqual(made.composite["inputs"], { in: "strip.in" });
  assert.deepEqual(made.composite["outputs"], { out: "lower.out", "strip-error": "strip.error" });
  assert.deepEqual(made.composite["parameters"], { text: "strip.text" });
  assert.deepEqual(made.composite["wires"], [["strip.out", "lower.in"]]);
  assert.deepEqual(made.composite["pools"], { two: { processes: 2 } });
  assert.equal(JSON.stringify(made.composite).includes("uid"), false);
  const after = done(doc, made.changes);
  assert.deepEqual(Object.keys(after.nodes).sort(), ["bad", "clean", "json", "out"]);
  assert.deepEqual(after.nodes["clean"]?.params, { text: "x" });
  assert.deepEqual(after.wires, [
    ["clean.out", "out.in"],
    ["clean.strip-error", "bad.in"],
    ["json.out", "clean.in"],
  ]);
  assert.deepEqual(after.layout["clean"], [200, 24]);
  assert.deepEqual(after.tests[0]?.["expect"], [{ node: "clean:lower", packets: 1 }]);
});

test("one is taken apart again, with its parameters, places, pools and tests", () => {
  const doc = graph();
  const made = composed(doc, ["strip", "lower"], "clean", exposable(doc, ["strip", "lower"]).slice(1, 2));
  const one = done(doc, [...made.changes, { do: "set", path: ["nodes", "clean", "params", "text"], value: "y" }]);
  const { changes, filters } = takenApart(one, "clean", made.composite);
  assert.deepEqual(filters, ["clean-strip", "clean-lower"]);
  const after = done(one, changes);
  assert.deepEqual(after.nodes["clean-strip"]?.params, { fields: ["a"], text: "y" });
  assert.equal(after.nodes["clean-strip"]?.["pool"], "clean-two");
  assert.deepEqual(Object.keys(after["pools"] as object).sort(), ["clean-two", "other", "two"]);
  assert.deepEqual(after.wires, [
    ["clean-lower.out", "out.in"],
    ["clean-strip.error", "bad.in"],
    ["clean-strip.out", "clean-lower.in"],
    ["json.out", "clean-strip.in"],
  ]);
  assert.deepEqual(after.layout["clean-lower"], [400, 24]);
  assert.deepEqual(after.tests[0]?.["expect"], [{ node: "clean-lower", packets: 1 }]);
});

test("ports lead to several, and errors of all inside that nobody takes there come out", () => {
  const fork = {
    nodes: { a: { component: "A" }, b: { component: "B" } },
    inputs: { in: ["a.in", "b.in"] },
    outputs: { out: ["a.out", "b.out"] },
    parameters: { both: { sets: ["a.p", "b.p"] } },
    wires: [["a.error", "b.in"]],
  };
  const doc = readGraph({
    name: "g",
    nodes: { x: { component: "X" }, f: { component: "Subgraph", params: { graph: fork, params: { both: 1 } } }, y: { component: "Y" } },
    wires: [
      ["x.out", "f.in"],
      ["f.out", "y.in"],
      ["f.error", "y.in"],
    ],
  }).doc;
  assert.deepEqual(compositeOf(doc.nodes["f"]!), fork);
  const after = done(doc, takenApart(doc, "f", fork).changes);
  assert.deepEqual(after.nodes["f-b"]?.params, { p: 1 });
  assert.deepEqual(after.wires, [
    ["f-a.error", "f-b.in"],
    ["f-a.out", "y.in"],
    ["f-b.error", "y.in"],
    ["f-b.out", "y.in"],
    ["x.out", "f-a.in"],
    ["x.out", "f-b.in"],
  ]);
});

test("a filter names a composite, or one version of it", () => {
  const spec = { name: "clean", kind: "COMPOSITE", doc: "", inputs: {}, outputs: {}, schema: {} };
  const node = { component: "clean@3", params: {} };
  assert.equal(specOf({ clean: spec }, "clean@3"), spec);
  assert.equal(specOf({ clean: spec }, "other@3"), undefined);
  assert.deepEqual(compositeOf(node), { name: "clean", version: "3" });
  assert.equal(isComposite({ clean: spec }, node), true);
  assert.equal(isComposite({}, { component: "Subgraph", params: { url: "http://other" } }), false);
});

const written = readGraph({
  name: "g",
  nodes: { json: { component: "JSON" }, w: { component: "whole" }, out: { component: "Keep" } },
  wires: [
    ["json.out", "w.in"],
    ["w.out", "out.in"],
  ],
}).doc;
const expanded = readGraph({
  name: "g",
  nodes: { json: { component: "JSON" }, "w:tidy:strip": { component: "Strip" }, "w:tidy:lower": { component: "Lower" }, "w:last": { component: "Last" }, out: { component: "Keep" } },
  wires: [
    ["json.out", "w:tidy:strip.in"],
    ["w:tidy:strip.out", "w:tidy:lower.in"],
    ["w:tidy:lower.out", "w:last.in"],
    ["w:last.out", "out.in"],
  ],
  layout: { "w:tidy:strip": [10, 5], "w:tidy:lower": [20, 0], "w:last": [40, 0] },
}).doc;

test("the graph is shown as it is written, with what runs behind it", () => {
  const level = levelOf(written, expanded, "");
  assert.equal(level.doc, written);
  assert.deepEqual([...level.inside], [["w", ["w:tidy:strip", "w:tidy:lower", "w:last"]]]);
  assert.deepEqual(level.wires.get(wireKey(["json.out", "w.in"])), [["json.out", "w:tidy:strip.in"]]);
  assert.deepEqual(level.wires.get(wireKey(["w.out", "out.in"])), [["w:last.out", "out.in"]]);
  const plain = levelOf(written, undefined, "");
  assert.deepEqual(plain.wires.get(wireKey(["w.out", "out.in"])), [["w.out", "out.in"]]);
});

test("a level within has its filters, and what is made of others as one", () => {
  const level = levelOf(written, expanded, "w");
  assert.deepEqual(Object.keys(level.doc.nodes), ["w:tidy", "w:last"]);
  assert.deepEqual(level.doc.wires, [["w:tidy.lower.out", "w:last.in"]]);
  assert.deepEqual(level.wires.get(wireKey(level.doc.wires[0]!)), [["w:tidy:lower.out", "w:last.in"]]);
  assert.deepEqual(level.doc.layout, { "w:tidy": [10, 0], "w:last": [40, 0] });
  assert.deepEqual([...level.inside.keys()], ["w:tidy"]);
  assert.deepEqual(Object.keys(levelOf(written, expanded, "w:tidy").doc.nodes), ["w:tidy:strip", "w:tidy:lower"]);
});

test("the way to a filter", () => {
  assert.deepEqual(wayTo("w:tidy:strip"), ["w", "w:tidy", "w:tidy:strip"]);
  assert.deepEqual(wayTo(""), []);
  assert.deepEqual([around("w:tidy"), around("w")], ["w", ""]);
});
