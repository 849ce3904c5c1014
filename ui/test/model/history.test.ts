import assert from "node:assert/strict";
import { test } from "node:test";
import { apply } from "../../src/model/change";
import * as gestures from "../../src/model/gestures";
import { type GraphDoc, emptyGraph, readGraph, toFile } from "../../src/model/graph";
import {
  type State,
  canRedo,
  canUndo,
  edit,
  emptyHistory,
  follow,
  readHistory,
  redo,
  saveHistory,
  settle,
  undo,
} from "../../src/model/history";
import { said } from "../../src/model/json";
import { merge } from "../../src/model/merge";
import { flat, sorted, touched } from "./flat";
import { gesture, graph, seeded } from "./random";

const SEEDS = 150;

function flow(): GraphDoc {
  return readGraph({
    pypes: 1,
    name: "flow",
    nodes: {
      json: { component: "JSON" },
      lower: { component: "NormalizeCase", params: { fields: ["title"] } },
      out: { component: "JSONLines" },
    },
    wires: [
      ["json.out", "lower.in"],
      ["lower.out", "out.in"],
    ],
    layout: { lower: [240, 80] },
    tests: [{ name: "t", expect: [{ node: "lower", packets: 1 }], failed: [{ filter: "lower" }] }],
  }).doc;
}

test("forty random gestures are undone to the start and redone to the end, through reloads", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seeded(seed);
    const start = graph(random);
    let state: State = { doc: start, history: emptyHistory };
    const seen: GraphDoc[] = [start];
    for (let count = 0; count < 40; count++) {
      const { what, changes } = gesture(random, state.doc);
      const next = edit(state, what, changes);
      if (next.history !== state.history) seen.push(next.doc);
      state =
        random() < 0.2
          ? {
              doc: readGraph(JSON.parse(JSON.stringify(toFile(next.doc)))).doc,
              history: readHistory(saveHistory(next.history)),
            }
          : next;
      if (random() < 0.2) {
        const before = undo(state);
        assert.deepEqual(before.skipped, [], `seed ${seed}`);
        state = redo(before);
      }
    }
    const end = state.doc;
    assert.deepEqual(end, seen.at(-1), `seed ${seed}: the end`);
    for (const expected of seen.slice(0, -1).reverse()) {
      const done = undo(state);
      assert.deepEqual(done.skipped, [], `seed ${seed}`);
      assert.deepEqual(done.doc, expected, `seed ${seed}: undo of ${done.what?.key}`);
      state = done;
    }
    assert.equal(canUndo(state.history), null);
    for (const expected of seen.slice(1)) {
      const done = redo(state);
      assert.deepEqual(done.doc, expected, `seed ${seed}: redo of ${done.what?.key}`);
      state = done;
    }
    assert.deepEqual(state.doc, end, `seed ${seed}: the end again`);
    assert.equal(canRedo(state.history), null);
  }
});

test("after a merge one's own gestures are undone, and what others did stays", () => {
  let apart = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seeded(seed);
    const start = graph(random, 12);
    let mine: State = { doc: start, history: emptyHistory };
    let saved = start;
    for (let count = 0; count < 4; count++) {
      const own = gesture(random, mine.doc, "m");
      mine = edit(mine, own.what, own.changes);
      saved = apply(saved, gesture(random, saved, "s").changes).doc;
    }
    const merged = merge(start, saved, mine.doc);
    let state: State = { doc: merged.doc, history: follow(mine.history, merged.renamed) };
    const skipped = [];
    while (canUndo(state.history)) {
      const done = undo(state);
      skipped.push(...done.skipped);
      state = done;
    }
    const [before, theirs] = [flat(start), flat(saved)];
    const both = touched(before, flat(mine.doc));
    const isApart = ![...touched(before, theirs)].some((key) => both.has(key));
    if (merged.conflicts.length || skipped.length || !isApart || Object.keys(merged.renamed).length) continue;
    apart += 1;
    assert.deepEqual(sorted(flat(state.doc)), sorted(theirs), `seed ${seed}`);
  }
  assert.ok(apart > SEEDS / 5, `only in ${apart} of ${SEEDS} both sides changed something else`);
});

test("gestures in a row that belong together are one step, until the field is left", () => {
  let state: State = { doc: flow(), history: emptyHistory };
  const type = (text: string): void => {
    state = edit(state, said("typed"), gestures.setParam(state.doc, "lower", ["fields"], [text]), "lower.fields");
  };
  for (const text of ["a", "ab", "abc"]) type(text);
  assert.equal(state.history.undo.length, 1);
  assert.equal(state.history.undo[0]?.changes.length, 1);
  state = { ...state, history: settle(state.history) };
  type("abcd");
  assert.equal(state.history.undo.length, 2);
  state = undo(undo(state));
  assert.deepEqual(state.doc, flow());
  state = redo(state);
  assert.deepEqual(state.doc.nodes["lower"]?.params["fields"], ["abc"]);
});

test("arrow keys that move two filters are one step of two changes", () => {
  let state: State = { doc: flow(), history: emptyHistory };
  for (let step = 1; step <= 50; step++) {
    state = edit(
      state,
      said("moved"),
      gestures.move(state.doc, { filters: { json: [step * 8, 0], lower: [step * 8, 80] } }),
      "arrows",
    );
  }
  assert.equal(state.history.undo[0]?.changes.length, 2);
  assert.deepEqual(undo(state).doc, flow());
});

test("an undo whose filter others removed is skipped, and said", () => {
  const start = flow();
  let state = edit({ doc: start, history: emptyHistory }, said("set"), gestures.setParam(start, "lower", ["fields"], ["text"]));
  state = { ...state, doc: apply(state.doc, gestures.removeItems(state.doc, { filters: ["lower"] })).doc };
  const done = undo(state);
  assert.deepEqual(done.doc, state.doc);
  assert.deepEqual(
    done.skipped.map(({ why }) => why),
    [said("change.filterGone", { filter: "lower" })],
  );
  assert.equal(canUndo(done.history), null);
  assert.equal(canRedo(done.history), null);
});

test("an undo of a value that others changed since is skipped, and said", () => {
  const start = flow();
  let state = edit({ doc: start, history: emptyHistory }, said("set"), gestures.setParam(start, "lower", ["fields"], ["text"]));
  state = { ...state, doc: apply(state.doc, gestures.setParam(state.doc, "lower", ["fields"], ["theirs"])).doc };
  const done = undo(state);
  assert.deepEqual(done.doc.nodes["lower"]?.params["fields"], ["theirs"]);
  assert.equal(done.skipped[0]?.why.key, "change.byOthers");
});

test("of a removal of several, what can come back does", () => {
  const start = flow();
  let state = edit({ doc: start, history: emptyHistory }, said("removed"), gestures.removeItems(start, { filters: ["lower"] }));
  state = { ...state, doc: apply(state.doc, gestures.removeItems(state.doc, { filters: ["json"] })).doc };
  const done = undo(state);
  assert.deepEqual(done.doc.wires, [["lower.out", "out.in"]]);
  assert.deepEqual(done.doc.layout["lower"], [240, 80]);
  assert.deepEqual(
    done.skipped.map(({ why }) => why),
    [said("change.filterGone", { filter: "json" })],
  );
  assert.deepEqual(redo(done).doc, state.doc);
});

test("a filter that others added meanwhile is not replaced by one of its name, nor wired to", () => {
  const start = flow();
  let state = edit({ doc: start, history: emptyHistory }, said("removed"), gestures.removeItems(start, { filters: ["lower"] }));
  state = {
    ...state,
    doc: apply(state.doc, [{ do: "set", path: ["nodes", "lower"], value: { component: "HTML", params: {} } }]).doc,
  };
  const done = undo(state);
  assert.deepEqual(done.doc, state.doc);
  assert.equal(done.skipped[0]?.why.key, "change.nameTaken");
});

test("a filter that others wired is not taken from under their wire", () => {
  const start = flow();
  let state = edit(
    { doc: start, history: emptyHistory },
    said("added"),
    gestures.addFilter(start, { component: "HTML" }).changes,
  );
  state = { ...state, doc: apply(state.doc, [gestures.addWire(["html.out", "out.in"])]).doc };
  assert.deepEqual(
    undo(state).skipped.map(({ why }) => why.key),
    ["change.wiredByOthers"],
  );
});

test("a history that is no history is an empty one; a long one loses its beginning", () => {
  for (const text of [
    null,
    "",
    "{",
    "[]",
    '{"undo": 1, "redo": []}',
    '{"undo": [{"what": {"key": "a", "params": {}}, "changes": [{"do": "format"}]}], "redo": []}',
  ]) {
    assert.deepEqual(readHistory(text), emptyHistory);
  }
  let state: State = { doc: emptyGraph("g"), history: emptyHistory };
  for (let index = 0; index < 500; index++)
    state = edit(state, said("set"), gestures.setKey("description", `${index} ${"x".repeat(20_000)}`));
  assert.equal(state.history.undo.length, 200);
  const kept = readHistory(saveHistory(state.history));
  assert.ok(kept.undo.length > 10 && kept.undo.length < 100);
  assert.deepEqual(kept.undo.at(-1), state.history.undo.at(-1));
});

test("a filter that is renamed to a name that wires and tests use already, and back", () => {
  const start = readGraph({
    nodes: { outt: { component: "JSONLines" }, json: { component: "JSON" } },
    wires: [
      ["json.out", "out.in"],
      ["json.error", "outt.in"],
    ],
    tests: [{ name: "t", expect: [{ node: "out" }, { node: "outt" }] }],
  }).doc;
  const state = edit({ doc: start, history: emptyHistory }, said("renamed"), gestures.renameFilter("outt", "out"));
  assert.deepEqual(state.doc.wires, [
    ["json.error", "out.in"],
    ["json.out", "out.in"],
  ]);
  const done = undo(state);
  assert.deepEqual(done.doc, start);
  assert.deepEqual(redo(done).doc, state.doc);
});
