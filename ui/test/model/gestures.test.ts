import assert from "node:assert/strict";
import { test } from "node:test";
import { type Change, apply } from "../../src/model/change";
import { copy, readClip } from "../../src/model/clip";
import * as gestures from "../../src/model/gestures";
import { type GraphDoc, readGraph } from "../../src/model/graph";
import { isSaid } from "../../src/model/json";

function flow(): GraphDoc {
  return readGraph({
    name: "flow",
    nodes: {
      json: { component: "JSON", uid: "u1" },
      lower: { component: "NormalizeCase", params: { fields: ["title"] }, uid: "u2" },
      out: { component: "JSONLines", uid: "u3" },
    },
    wires: [
      ["json.out", "lower.in"],
      ["lower.out", "out.in"],
      ["lower.error", "out.in"],
    ],
    layout: { json: [0, 0], lower: [240, 80], out: [480, 80] },
    comments: { c: { text: "why", at: [240, 0] } },
  }).doc;
}

const doc = flow();
const after = (changes: readonly Change[]): GraphDoc => {
  const done = apply(doc, changes);
  assert.deepEqual(done.skipped, []);
  assert.deepEqual(apply(done.doc, done.inverse, { strict: true }).doc, doc);
  return done.doc;
};

test("a new filter gets a name, a place on the grid, an identity, and its wire", () => {
  const from = { end: { filter: "lower", port: "out" }, port: "in" };
  const to = { end: { filter: "out", port: "in" }, port: "out" };
  const { changes, name } = gestures.addFilter(doc, { component: "Batch", at: [13, 14], from, to });
  const next = after(changes);
  assert.equal(name, "batch");
  assert.deepEqual(next.layout["batch"], [16, 16]);
  assert.ok(next.nodes["batch"]?.uid);
  assert.deepEqual(
    next.wires.filter((wire) => wire.join().includes("batch")),
    [
      ["batch.out", "out.in"],
      ["lower.out", "batch.in"],
    ],
  );
  assert.equal(gestures.addFilter(doc, { component: "JSON" }).name, "json2");
});

test("what is removed takes its wires and its place along", () => {
  const next = after(gestures.removeItems(doc, { filters: ["lower"], comments: ["c"] }));
  assert.deepEqual([next.wires, next.layout, next.comments], [[], { json: [0, 0], out: [480, 80] }, {}]);
  assert.deepEqual(after(gestures.removeItems(doc, { wires: [["lower.error", "out.in"]] })).wires.length, 2);
  assert.deepEqual(after(gestures.removeAndHeal(doc, "lower")).wires, [["json.out", "out.in"]]);
});

test("a filter on a wire is led through, a new one and one that is there", () => {
  const { changes } = gestures.insert(doc, ["json.out", "lower.in"], { component: "Batch", input: "in", output: "out" });
  assert.deepEqual(after(changes).wires.slice(0, 2), [
    ["batch.out", "lower.in"],
    ["json.out", "batch.in"],
  ]);
  const spliced = after(gestures.splice(["lower.error", "out.in"], "json", { input: "in", output: "out" }));
  assert.deepEqual(spliced.wires, [
    ["json.out", "lower.in"],
    ["json.out", "out.in"],
    ["lower.error", "json.in"],
    ["lower.out", "out.in"],
  ]);
});

test("parameters deep within objects, which are made on the way", () => {
  const next = after(gestures.setParam(doc, "json", ["options", "deep", "er"], 1));
  assert.deepEqual(next.nodes["json"]?.params, { options: { deep: { er: 1 } } });
  const more = apply(next, gestures.setParam(next, "json", ["options", "other"], 2)).doc;
  assert.deepEqual(more.nodes["json"]?.params, { options: { deep: { er: 1 }, other: 2 } });
  assert.deepEqual(apply(more, gestures.unsetParam("json", ["options", "deep"])).doc.nodes["json"]?.params, {
    options: { other: 2 },
  });
});

test("what has no form is refused", () => {
  const refused: readonly Change[] = [
    { do: "set", path: ["nodes"], value: {} },
    { do: "set", path: ["wires"], value: [] },
    { do: "set", path: ["nodes", "x"], value: { params: {} } },
    { do: "set", path: ["nodes", "json", "component"], value: 1 },
    { do: "set", path: ["layout", "json"], value: [1] },
    { do: "set", path: ["layout", "nobody"], value: [1, 2] },
    { do: "unset", path: ["comments", "c", "text"] },
    { do: "set", path: ["comments", "nobody", "text"], value: "" },
    { do: "set", path: ["nodes", "json", "params", "a", "b"], value: 1 },
    { do: "rename", from: "json", to: "lower" },
    { do: "untest", name: "none" },
  ];
  for (const change of refused) {
    const done = apply(doc, [change]);
    assert.equal(done.skipped.length, 1, JSON.stringify(change));
    assert.equal(done.doc, doc);
  }
});

test("names that a filter cannot have", () => {
  assert.equal(gestures.whyNoName(doc, "json", "a b")?.key, "name.form");
  assert.equal(gestures.whyNoName(doc, "json", "lower")?.key, "change.nameTaken");
  assert.deepEqual([gestures.whyNoName(doc, "json", "json"), gestures.whyNoName(doc, "json", "new")], [null, null]);
});

test("what does not move makes no change", () => {
  assert.deepEqual(gestures.move(doc, { filters: { json: [3, 3], nobody: [80, 80] }, comments: { c: [240, 2] } }), []);
  assert.equal(gestures.move(doc, { filters: { json: [8, 3] }, comments: { c: [0, 0] } }).length, 2);
});

test("copied text is pasted beside the original, or where the pointer is, under free names", () => {
  const clip = readClip(copy(doc, { filters: ["json", "lower"], comments: ["c"] }));
  assert.ok(!isSaid(clip));
  assert.ok(!copy(doc, { filters: ["json"] }).includes("u1"));
  const { changes, filters, comments } = gestures.paste(doc, clip);
  const next = after(changes);
  assert.deepEqual(filters, ["json2", "lower2"]);
  assert.deepEqual(next.layout["lower2"], [272, 112]);
  assert.deepEqual(next.comments[comments[0] ?? ""], { text: "why", at: [272, 32] });
  assert.ok(next.wires.some(([from, to]) => from === "json2.out" && to === "lower2.in"));
  assert.equal(new Set(Object.values(next.nodes).map(({ uid }) => uid)).size, 5);
  assert.deepEqual(after(gestures.paste(doc, clip, [800, 400]).changes).layout["json2"], [800, 400]);
});

test("text from elsewhere: a graph, filters, one filter, a block of a chat; and what is none", () => {
  const names = (text: string): string[] | string => {
    const clip = readClip(text);
    return isSaid(clip) ? clip.key : Object.keys(clip.nodes);
  };
  assert.deepEqual(names('{"pypes": 1, "name": "g", "nodes": {"a": {"component": "JSON"}}, "wires": [["a.out", "gone.in"]]}'), [
    "a",
  ]);
  assert.deepEqual(names('{"a": {"component": "JSON"}, "b": {"component": "HTML", "params": {"x": 1}}}'), ["a", "b"]);
  assert.deepEqual(names('{"component": "CSV", "params": {}}'), ["csv"]);
  assert.deepEqual(names('```json\n{"component": "CSV"}\n```'), ["csv"]);
  assert.deepEqual(names('\uFEFF {"component": "CSV"} '), ["csv"]);
  for (const text of ["", "hello", "{", "<a>"]) assert.equal(names(text), "clip.noJson");
  for (const text of ["1", "[]", "{}", '{"a": 1}', '{"nodes": {"a": 1}}', "null"]) assert.equal(names(text), "clip.noGraph");
  assert.equal(names(" ".repeat(5_000_000)), "clip.long");
  assert.equal(
    names(JSON.stringify(Object.fromEntries(Array.from({ length: 2001 }, (_, index) => [`f${index}`, { component: "JSON" }])))),
    "clip.many",
  );
});

test("a name from elsewhere that no filter may have becomes one", () => {
  const clip = readClip(
    '{"nodes": {"my filter": {"component": "JSON"}, "my-filter": {"component": "HTML"}}, "wires": [["my filter.out", "my-filter.in"]]}',
  );
  assert.ok(!isSaid(clip));
  const { changes, filters } = gestures.paste(doc, clip);
  assert.deepEqual(filters, ["my-filter", "my-filter2"]);
  assert.ok(after(changes).wires.some(([from, to]) => from === "my-filter.out" && to === "my-filter2.in"));
});
