import assert from "node:assert/strict";
import { test } from "node:test";
import { apply } from "../../src/model/change";
import { count, difference, isEmpty, lines, packetDifference } from "../../src/model/difference";
import * as gestures from "../../src/model/gestures";
import { type GraphDoc, readGraph, toFile } from "../../src/model/graph";
import { gesture, graph, seeded } from "./random";

function flow(): GraphDoc {
  return readGraph({
    name: "flow",
    description: "d",
    routes: ["a"],
    nodes: {
      json: { component: "JSON", uid: "u1" },
      lower: { component: "NormalizeCase", params: { fields: ["title"] }, uid: "u2" },
      out: { component: "JSONLines", uid: "u3" },
    },
    wires: [
      ["json.out", "lower.in"],
      ["lower.out", "out.in"],
    ],
    layout: { json: [0, 0] },
    tests: [{ name: "t", expect: [{ node: "lower" }] }],
  }).doc;
}

const bare = (doc: GraphDoc): GraphDoc => readGraph(toFile(doc, { uids: false })).doc;

test("a graph does not differ from itself, nor by where it is drawn", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const doc = graph(seeded(seed));
    assert.ok(isEmpty(difference(doc, doc)), `seed ${seed}`);
    assert.ok(isEmpty(difference(doc, bare(doc))), `seed ${seed}`);
  }
  const moved = difference(flow(), apply(flow(), gestures.move(flow(), { filters: { json: [80, 80] } })).doc);
  assert.ok(isEmpty(moved));
  assert.deepEqual(moved.moved, ["json"]);
});

test("what was added is what is removed the other way", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const random = seeded(seed);
    const before = graph(random);
    let after = before;
    for (let step = 0; step < 5; step++) after = apply(after, gesture(random, after).changes).doc;
    const [there, back] = [difference(before, after), difference(after, before)];
    assert.equal(count(there), count(back), `seed ${seed}`);
    assert.deepEqual([...there.filters.added].sort(), [...back.filters.removed].sort(), `seed ${seed}`);
    assert.deepEqual(there.wires.added, back.wires.removed, `seed ${seed}`);
    assert.deepEqual(there.routes.added, back.routes.removed, `seed ${seed}`);
  }
});

test("what changed, with what was before and is after", () => {
  const doc = flow();
  const next = apply(doc, [
    ...gestures.setParam(doc, "lower", ["fields"], ["text"]),
    ...gestures.setOption("lower", "timeout_s", 5),
    ...gestures.setOption("out", "component", "Null"),
    ...gestures.setKey("description", undefined),
    ...gestures.addRoute("b"),
    ...gestures.removeRoute("a"),
    ...gestures.addFilter(doc, { component: "CSV" }).changes,
    ...gestures.removeItems(doc, { wires: [["lower.out", "out.in"]] }),
    gestures.addWire(["lower.error", "out.in"]),
    ...gestures.removeTest("t"),
  ]).doc;
  const found = difference(doc, next);
  assert.deepEqual(found.filters, {
    added: ["csv"],
    removed: [],
    changed: [
      {
        name: "lower",
        params: [{ name: "fields", before: ["title"], after: ["text"] }],
        options: [{ name: "timeout_s", before: undefined, after: 5 }],
      },
      { name: "out", params: [], options: [{ name: "component", before: "JSONLines", after: "Null" }] },
    ],
  });
  assert.deepEqual(found.wires, { added: [["lower.error", "out.in"]], removed: [["lower.out", "out.in"]] });
  assert.deepEqual(found.fields, [{ name: "description", before: "d", after: undefined }]);
  assert.deepEqual([found.routes, found.tests.length], [{ added: ["b"], removed: ["a"] }, 1]);
  assert.equal(count(found), 10);
});

test("a renamed filter is no new one, by its uid, or where it is the only one of its make", () => {
  const doc = flow();
  const next = apply(doc, gestures.renameFilter("lower", "small")).doc;
  for (const [before, after] of [
    [doc, next],
    [bare(doc), next],
    [bare(doc), bare(next)],
  ] as const) {
    const { filters, wires } = difference(before, after);
    assert.deepEqual(filters, { added: [], removed: [], changed: [{ name: "small", from: "lower", params: [], options: [] }] });
    assert.deepEqual(wires, { added: [], removed: [] });
  }
  const other = readGraph({ nodes: { a: { component: "JSON", uid: "1" } } }).doc;
  assert.deepEqual(difference(other, readGraph({ nodes: { b: { component: "JSON", uid: "2" } } }).doc).filters, {
    added: ["b"],
    removed: ["a"],
    changed: [],
  });
});

test("what a filter did to a packet", () => {
  const before = { fields: { title: "HELLO", text: "a\nb\nc", gone: 1 }, meta: { id: "1" }, field_meta: {} };
  const after = {
    fields: { title: "hello", text: "a\nx\nc", fresh: [1] },
    meta: { id: "1" },
    field_meta: { text: { language: "en" } },
  };
  const { fields, meta, field_meta } = packetDifference(before, after);
  assert.deepEqual(
    fields.map(({ name, state }) => [name, state]),
    [
      ["title", "changed"],
      ["text", "changed"],
      ["gone", "removed"],
      ["fresh", "added"],
    ],
  );
  assert.deepEqual(fields[1]?.lines, [
    { state: "same", text: "a" },
    { state: "removed", text: "b" },
    { state: "added", text: "x" },
    { state: "same", text: "c" },
  ]);
  assert.deepEqual(
    meta.map(({ state }) => state),
    ["same"],
  );
  assert.deepEqual(field_meta, [{ name: "text", state: "added", before: undefined, after: { language: "en" } }]);
  assert.deepEqual(packetDifference(null, { fields: { a: 1 } }).fields[0]?.state, "added");
  assert.deepEqual(packetDifference({ fields: { a: 1 } }, null).fields[0]?.state, "removed");
});

test("texts line by line give both texts back, alike or not", () => {
  const long = (word: string): string => Array.from({ length: 5_000 }, (_, index) => `${word} ${index}`).join("\n");
  const texts = ["", "a", "a\n", "a\nb", "b\na\n\n", long("one"), long("two")];
  for (const before of texts) {
    for (const after of texts) {
      const found = lines(before, after);
      const side = (state: string): string =>
        found
          .filter((line) => line.state === "same" || line.state === state)
          .map(({ text }) => text)
          .join("\n");
      assert.equal(side("removed"), before.replace(/\n$/, ""));
      assert.equal(side("added"), after.replace(/\n$/, ""));
    }
  }
});
