import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { emptyGraph, freeName, freeTestName, newUid, readGraph, toFile } from "../../src/model/graph";
import { apply } from "../../src/model/change";
import * as gestures from "../../src/model/gestures";
import { byName, equal, withKey } from "../../src/model/json";

// from where the bundle is made, beside this folder
const GRAPHS = fileURLToPath(new URL("../../../graphs", import.meta.url));

test("the graphs of the project are read and written as they are", () => {
  const files = [GRAPHS, join(GRAPHS, "examples")].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .map((name) => join(folder, name)),
  );
  assert.ok(files.length >= 3);
  for (const file of files) {
    const given: unknown = JSON.parse(readFileSync(file, "utf8"));
    const { doc, lost } = readGraph(given);
    assert.deepEqual(lost, []);
    assert.deepEqual(toFile(doc), given);
  }
});

test("what is no graph is an empty one, and what has no form is left out and said", () => {
  for (const value of [null, 1, "text", []]) assert.deepEqual(readGraph(value).doc, emptyGraph(""));
  const { doc, lost } = readGraph({
    name: "g",
    nodes: { a: { component: "JSON", params: [] }, b: 1, c: {} },
    wires: [["a.out", "b.in"], ["a"], "x", ["a", "b"], ["a.out", "b.in"]],
    layout: { a: [1, 2], b: [1], gone: [1, 2], far: [1e308, 0] },
    comments: { c: { text: "x", at: [0, 0], size: "big" }, d: {} },
    tests: [{ post: [] }, 1, { name: "t" }, { name: "t" }],
    routes: "r",
    more: { kept: true },
  });
  assert.deepEqual(Object.keys(doc.nodes), ["a"]);
  assert.deepEqual(doc.nodes["a"]?.params, {});
  assert.deepEqual(doc.wires, [["a.out", "b.in"]]);
  assert.deepEqual(doc.layout, { a: [1, 2] });
  assert.deepEqual(doc.comments, { c: { text: "x", at: [0, 0] } });
  assert.deepEqual(
    doc.tests.map((each) => each["name"]),
    ["test 1", "t", "t (2)"],
  );
  assert.deepEqual(doc["more"], { kept: true });
  const places = ["nodes.b", "nodes.c", "wires.1", "wires.2", "wires.3", "routes", "tests.1", "comments.d", "layout.b", "layout.far"];
  assert.deepEqual(lost.map(({ params }) => params["where"]).sort(), places.sort());
});

test("a file has no uids where they are not wanted, and nothing that is empty but nodes and wires", () => {
  const { doc } = readGraph({ pypes: 1, name: "g", nodes: { a: { component: "JSON", uid: "u" } } });
  assert.deepEqual(toFile(doc), { pypes: 1, name: "g", nodes: { a: { component: "JSON", params: {}, uid: "u" } }, wires: [] });
  assert.deepEqual(toFile(doc, { uids: false })["nodes"], { a: { component: "JSON", params: {} } });
});

test("names of objects of JavaScript are names like any other", () => {
  const given: unknown = JSON.parse(
    '{"nodes": {"__proto__": {"component": "JSON"}, "constructor": {"component": "HTML"}}, "wires": [["__proto__.out", "constructor.in"]]}',
  );
  const { doc } = readGraph(given);
  assert.deepEqual(Object.keys(doc.nodes), ["__proto__", "constructor"]);
  const done = apply(doc, [
    ...gestures.setParam(doc, "__proto__", ["__proto__", "polluted"], true),
    ...gestures.renameFilter("constructor", "toString"),
  ]);
  assert.deepEqual(done.skipped, []);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  assert.deepEqual(done.doc.wires, [["__proto__.out", "toString.in"]]);
  assert.deepEqual(apply(done.doc, done.inverse).doc, doc);
  assert.equal(apply(doc, gestures.renameFilter("hasOwnProperty", "x")).skipped.length, 1);
});

test("free names", () => {
  const { doc } = readGraph({
    nodes: { csv: { component: "CSV" }, csv2: { component: "CSV" } },
    wires: [["csv.out", "gone.in"]],
  });
  assert.equal(freeName(doc, "json"), "json");
  assert.equal(freeName(doc, "csv"), "csv3");
  assert.equal(freeName(doc, "gone"), "gone2");
  assert.equal(freeName(doc, "My filter!"), "My-filter");
  assert.equal(freeName(doc, "…"), "filter");
  assert.ok(freeName(doc, "x".repeat(200)).length <= 64);
  assert.equal(freeTestName([{ name: "t" }, { name: "t (2)" }], "t"), "t (3)");
  assert.equal(new Set(Array.from({ length: 1000 }, newUid)).size, 1000);
  assert.match(newUid(), /^[A-Za-z0-9_-]{1,64}$/);
});

test("order and equality", () => {
  assert.deepEqual(["out10", "out2", "out1", "else", "out"].sort(byName), ["else", "out", "out1", "out2", "out10"]);
  assert.ok(equal({ a: [1, { b: null }], c: 1 }, { c: 1, a: [1, { b: null }] }));
  assert.ok(!equal({ a: undefined }, {}) && !equal([1], { 0: 1 }) && !equal(null, {}) && !equal({ a: 1 }, { b: 1 }));
  assert.deepEqual(Object.keys(withKey({ a: 1, b: 2 }, "a", 3)), ["a", "b"]);
});
