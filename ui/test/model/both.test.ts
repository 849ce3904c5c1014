import assert from "node:assert/strict";
import { test } from "node:test";
import { both } from "../../src/model/both";
import { readGraph, wireKey } from "../../src/model/graph";
import { graph, seeded } from "./random";

const before = readGraph({
  name: "flow",
  nodes: { json: { component: "JSON" }, old: { component: "NormalizeCase", params: { fields: ["a"] } }, out: { component: "Null" } },
  wires: [
    ["json.out", "old.in"],
    ["old.out", "out.in"],
  ],
  layout: { old: [8, 16] },
}).doc;

test("what went is drawn beside what came, where it was", () => {
  const after = readGraph({
    name: "flow",
    nodes: { json: { component: "JSON" }, fresh: { component: "Split" }, out: { component: "Null", timeout_s: 5 } },
    wires: [
      ["json.out", "fresh.in"],
      ["fresh.out", "out.in"],
    ],
  }).doc;
  const { doc, marks } = both(before, after);
  assert.deepEqual(Object.keys(doc.nodes).sort(), ["fresh", "json", "old", "out"]);
  assert.deepEqual(doc.layout["old"], [8, 16]);
  assert.deepEqual(Object.fromEntries(marks), {
    fresh: "added",
    old: "removed",
    out: "changed",
    "json.out fresh.in": "added",
    "fresh.out out.in": "added",
    "json.out old.in": "removed",
    "old.out out.in": "removed",
  });
});

test("a filter that took the name of another leaves that one to be drawn, under a name that is free", () => {
  const one = readGraph({ name: "flow", nodes: { same: { component: "A", uid: "a" }, other: { component: "B", uid: "b" } }, wires: [["same.out", "other.in"]] }).doc;
  const other = readGraph({ name: "flow", nodes: { same: { component: "B", uid: "b" } } }).doc;
  const { doc, marks, removed } = both(one, other);
  assert.deepEqual([...removed], [["same", "same2"]]);
  assert.equal(doc.nodes["same2"]?.component, "A");
  assert.deepEqual(Object.fromEntries(marks), { same: "changed", same2: "removed", "same2.out same.in": "removed" });
});

test("a renamed filter keeps its wires", () => {
  const [was, is] = ["was", "is"].map((name) => readGraph({ name: "flow", nodes: { a: { component: "A", uid: "a" }, [name]: { component: "B", uid: "b" } }, wires: [["a.out", `${name}.in`]] }).doc);
  const { doc, marks } = both(was!, is!);
  assert.deepEqual(doc.wires.map(wireKey), ["a.out is.in"]);
  assert.deepEqual(Object.fromEntries(marks), { is: "changed" });
});

test("every wire that is drawn ends at filters that are drawn", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const [one, other] = [graph(seeded(seed)), graph(seeded(seed + 1000))];
    const { doc, marks } = both(one, other);
    for (const [id, mark] of marks) assert.ok(id in doc.nodes || doc.wires.some((wire) => wireKey(wire) === id), `seed ${seed}: ${id} ${mark}`);
  }
});

test("filters may be called like what every object has", () => {
  const nodes = (...of: readonly (readonly [string, string])[]) => Object.fromEntries(of.map(([name, uid]) => [name, { component: uid.toUpperCase(), uid }]));
  const one = readGraph({ nodes: nodes(["__proto__", "a"], ["constructor", "b"]), wires: [["__proto__.out", "constructor.in"]] }).doc;
  const other = readGraph({ nodes: nodes(["__proto__", "b"]) }).doc;
  const { doc, marks, removed } = both(one, other);
  const shown = removed.get("__proto__") ?? "";
  assert.equal(doc.nodes[shown]?.component, "A");
  assert.deepEqual(Object.fromEntries([...marks].filter(([id]) => id !== "__proto__")), { [shown]: "removed", [`${shown}.out __proto__.in`]: "removed" });
  assert.equal(marks.get("__proto__"), "changed");
});
