import assert from "node:assert/strict";
import { test } from "node:test";
import { apply } from "../../src/model/change";
import { type GraphDoc, readGraph, wireKey } from "../../src/model/graph";
import { type Target, byFilter, byWire, ofParam, targetOf } from "../../src/model/problems";

const doc: GraphDoc = readGraph({
  nodes: { a: { component: "JSON" }, "b-1": { component: "Batch" }, limits: { component: "Null" } },
  wires: [
    ["a.out", "b-1.in"],
    ["b-1.out", "a.in"],
    ["b-1.out", "limits.in"],
  ],
  comments: { c: { text: "", at: [0, 0] } },
  tests: [{ name: "t" }],
}).doc;

const fault = (where: string, message = "is wrong"): { where: string; message: string } => ({ where, message });

test("what a problem is about", () => {
  const cases: [string, Target][] = [
    ["nodes.a", { kind: "filter", filter: "a" }],
    ["nodes.b-1.params.fields.0", { kind: "filter", filter: "b-1", path: ["fields", "0"] }],
    ["nodes.a.params", { kind: "filter", filter: "a", path: [] }],
    ["nodes.a.timeout_s", { kind: "filter", filter: "a", option: "timeout_s" }],
    ["nodes.gone", { kind: "graph" }],
    ["nodes", { kind: "graph" }],
    ["", { kind: "graph" }],
    ["wires.2", { kind: "wire", wire: ["b-1.out", "limits.in"] }],
    ["wires.9", { kind: "graph" }],
    ["layout.a", { kind: "filter", filter: "a" }],
    ["comments.c.text", { kind: "comment", comment: "c" }],
    ["tests.0.expect.1", { kind: "test", test: "t" }],
    ["schedule", { kind: "field", key: "schedule" }],
    ["a", { kind: "filter", filter: "a" }],
  ];
  for (const [where, target] of cases) assert.deepEqual(targetOf(doc, fault(where)), target, where);
});

test("a cycle is about its filters, and the wires between them", () => {
  const cycle = fault("wires", "the wires close a cycle: a -> b-1 -> a; remove one of them");
  assert.deepEqual(targetOf(doc, cycle), { kind: "filters", filters: ["a", "b-1"] });
  assert.deepEqual(Object.keys(byFilter(doc, [cycle, fault("nodes.a.params.x")])), ["a", "b-1"]);
  assert.deepEqual(Object.keys(byWire(doc, [cycle])), [wireKey(["a.out", "b-1.in"]), wireKey(["b-1.out", "a.in"])]);
});

test("a wire is the one that was checked, whatever was wired since", () => {
  const now = apply(doc, [{ do: "unwire", wire: ["a.out", "b-1.in"] }]).doc;
  assert.deepEqual(targetOf(now, fault("wires.1"), doc), { kind: "wire", wire: ["b-1.out", "a.in"] });
  assert.deepEqual(targetOf(now, fault("wires.0"), doc), { kind: "graph" });
});

test("the problems of one parameter", () => {
  const faults = [fault("nodes.a.params.fields.0"), fault("nodes.a.params.other"), fault("nodes.b-1.params.fields")];
  assert.deepEqual(ofParam(doc, faults, "a", "fields"), [{ fault: faults[0], path: ["0"] }]);
});
