import assert from "node:assert/strict";
import { test } from "node:test";
import { type Change, apply } from "../../src/model/change";
import * as gestures from "../../src/model/gestures";
import { type GraphDoc, readGraph } from "../../src/model/graph";
import { type Conflict, merge, resolve } from "../../src/model/merge";
import { flat, patched, sorted, touched } from "./flat";
import { gesture, graph, seeded } from "./random";

const SEEDS = 250;

function flow(): GraphDoc {
  return readGraph({
    pypes: 1,
    name: "flow",
    description: "d",
    routes: ["a", "b"],
    nodes: {
      json: { component: "JSON", uid: "u1" },
      lower: { component: "NormalizeCase", params: { fields: ["title"], size: 3 }, uid: "u2" },
      out: { component: "JSONLines", uid: "u3" },
    },
    wires: [
      ["json.out", "lower.in"],
      ["lower.out", "out.in"],
    ],
    layout: { json: [0, 0], lower: [240, 80] },
    tests: [{ name: "t", expect: [{ node: "lower", packets: 1 }] }],
    comments: { c: { text: "why", at: [0, 0] } },
    limits: { queue: 1, letters: 2 },
  }).doc;
}

const B = flow();
const after = (...changes: (readonly Change[] | Change)[]): GraphDoc => {
  const done = apply(B, changes.flat());
  assert.deepEqual(done.skipped, []);
  return done.doc;
};
const brief = ({ what, where, base, saved, mine }: Conflict): object => ({ what, ...where, base, saved, mine });
const chosen = (doc: GraphDoc, conflict: Conflict | undefined, side: "saved" | "mine"): GraphDoc => {
  assert.ok(conflict);
  const done = apply(doc, resolve(doc, conflict, side));
  assert.deepEqual(done.skipped, []);
  return done.doc;
};

function meets(one: GraphDoc, other: GraphDoc): boolean {
  return Object.entries(one.nodes).some(([name, { uid }]) => other.nodes[name] && other.nodes[name].uid !== uid);
}

test("what one side did is the merge, whatever it was, and the same on both sides is no conflict", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seeded(seed);
    const base = graph(random);
    let side = base;
    for (let count = 0; count < 10; count++) side = apply(side, gesture(random, side).changes).doc;
    for (const [saved, mine] of [
      [base, side],
      [side, base],
      [side, side],
    ] as const) {
      const { doc, conflicts } = merge(base, saved, mine);
      assert.deepEqual(conflicts, [], `seed ${seed}`);
      assert.deepEqual(doc, side, `seed ${seed}`);
    }
  }
});

test("what both sides did to different things is all there, from whichever side it is looked at", () => {
  let apart = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seeded(seed);
    const base = graph(random, 12);
    let [saved, mine] = [base, base];
    for (let count = 0; count < 3; count++) {
      saved = apply(saved, gesture(random, saved, "s").changes).doc;
      mine = apply(mine, gesture(random, mine, "m").changes).doc;
    }
    const { doc, conflicts } = merge(base, saved, mine);
    const other = merge(base, mine, saved);
    assert.equal(conflicts.length, other.conflicts.length, `seed ${seed}`);
    // of two filters that both added under one name, the saved one keeps it; one under the name of a removed one is held for it
    if (conflicts.length || meets(saved, mine) || meets(base, saved) || meets(base, mine)) continue;
    assert.deepEqual(sorted(flat(doc)), sorted(flat(other.doc)), `seed ${seed}`);
    const [before, theirs, ours] = [flat(base), flat(saved, [base]), flat(mine, [base])];
    const both = touched(before, ours);
    if ([...touched(before, theirs)].some((key) => both.has(key))) continue;
    apart += 1;
    assert.deepEqual(sorted(flat(doc, [saved, mine, base])), sorted(patched(theirs, before, ours)), `seed ${seed}`);
  }
  assert.ok(apart > SEEDS / 3, `only in ${apart} of ${SEEDS} both sides changed something else`);
});

test("a conflict chosen for one side gives what that side has", () => {
  let seen = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seeded(seed);
    const base = graph(random, 4);
    let [saved, mine] = [base, base];
    for (let count = 0; count < 4; count++) {
      saved = apply(saved, gesture(random, saved, "s").changes).doc;
      mine = apply(mine, gesture(random, mine, "m").changes).doc;
    }
    const { doc, conflicts } = merge(base, saved, mine);
    assert.equal(new Set(conflicts.map(({ id }) => id)).size, conflicts.length, `seed ${seed}`);
    seen += conflicts.length;
    for (const conflict of conflicts) {
      assert.deepEqual(flat(apply(doc, resolve(doc, conflict, "saved")).doc), flat(doc), `seed ${seed}: ${conflict.id}`);
      const turned = apply(doc, resolve(doc, conflict, "mine"));
      assert.deepEqual(turned.skipped, [], `seed ${seed}: ${conflict.id}`);
      assert.notDeepEqual(turned.doc, doc, `seed ${seed}: ${conflict.id}`);
    }
  }
  assert.ok(seen > SEEDS / 5, `only ${seen} conflicts`);
});

test("a conflict is about its filter, also after that was renamed", () => {
  const saved = after(
    gestures.renameFilter("lower", "a"),
    gestures.setParam(after(gestures.renameFilter("lower", "a")), "a", ["size"], 1),
  );
  const mine = after(
    gestures.renameFilter("lower", "b"),
    gestures.setParam(after(gestures.renameFilter("lower", "b")), "b", ["size"], 2),
  );
  const { doc, conflicts } = merge(B, saved, mine);
  const end = [...conflicts]
    .sort((one) => (one.what === "name" ? -1 : 1))
    .reduce((now, conflict) => chosen(now, conflict, "mine"), doc);
  assert.deepEqual(flat(end), flat(mine));
});

test("one parameter set differently is a conflict, two are none", () => {
  const saved = after(gestures.setParam(B, "lower", ["fields"], ["a"]), gestures.setParam(B, "lower", ["size"], 4));
  const mine = after(gestures.setParam(B, "lower", ["fields"], ["b"]), gestures.setParam(B, "lower", ["more"], 5));
  const { doc, conflicts } = merge(B, saved, mine);
  assert.deepEqual(doc.nodes["lower"]?.params, { fields: ["a"], size: 4, more: 5 });
  assert.deepEqual(conflicts.map(brief), [
    { what: "param", filter: "lower", key: "fields", base: ["title"], saved: ["a"], mine: ["b"] },
  ]);
  assert.deepEqual(chosen(doc, conflicts[0], "mine").nodes["lower"]?.params["fields"], ["b"]);
  assert.deepEqual(chosen(doc, conflicts[0], "saved"), doc);
});

test("a parameter that one side removed and the other changed is a conflict", () => {
  const { doc, conflicts } = merge(
    B,
    after(gestures.unsetParam("lower", ["size"])),
    after(gestures.setParam(B, "lower", ["size"], 9)),
  );
  assert.equal(doc.nodes["lower"]?.params["size"], undefined);
  assert.equal(conflicts[0]?.why.key, "conflict.param.removedSaved");
  assert.equal(chosen(doc, conflicts[0], "mine").nodes["lower"]?.params["size"], 9);
});

test("a filter that others removed and I changed is a conflict; chosen as mine it comes back with its wires", () => {
  const saved = after(gestures.removeItems(B, { filters: ["lower"] }));
  const mine = after(gestures.setParam(B, "lower", ["size"], 9));
  const { doc, conflicts } = merge(B, saved, mine);
  assert.deepEqual(Object.keys(doc.nodes), ["json", "out"]);
  assert.deepEqual(
    conflicts.map(({ what, where, why }) => ({ what, ...where, key: why.key })),
    [{ what: "filter", filter: "lower", key: "conflict.filter.removedSaved" }],
  );
  assert.deepEqual(
    flat(chosen(doc, conflicts[0], "mine")),
    flat(
      readGraph(
        JSON.parse(
          JSON.stringify({ ...mine, nodes: { json: mine.nodes["json"], out: mine.nodes["out"], lower: mine.nodes["lower"] } }),
        ),
      ).doc,
    ),
  );
});

test("a filter that I removed and others changed stays with their wires, until I choose", () => {
  const saved = after(gestures.setParam(B, "lower", ["size"], 9), [gestures.addWire(["json.error", "lower.in"])]);
  const mine = after(gestures.removeItems(B, { filters: ["lower"] }));
  const { doc, conflicts } = merge(B, saved, mine);
  assert.deepEqual(doc, saved);
  assert.equal(conflicts.length, 1);
  assert.deepEqual(flat(chosen(doc, conflicts[0], "mine")), flat(mine));
});

test("a new wire to a removed filter is a conflict, a removed filter that was only moved is none", () => {
  const saved = after(gestures.removeItems(B, { filters: ["lower"] }));
  const wired = merge(B, saved, after([gestures.addWire(["json.error", "lower.in"])]));
  assert.deepEqual(
    wired.conflicts.map(({ what }) => what),
    ["filter"],
  );
  assert.ok(chosen(wired.doc, wired.conflicts[0], "mine").wires.some(([from]) => from === "json.error"));
  const moved = merge(B, saved, after(gestures.move(B, { filters: { lower: [8, 8] } })));
  assert.deepEqual([moved.conflicts, moved.doc], [[], saved]);
});

test("a rename is no removal: what the other side did to the filter goes along", () => {
  const saved = after(gestures.renameFilter("lower", "small"));
  const mine = after(
    gestures.setParam(B, "lower", ["size"], 9),
    [gestures.addWire(["json.error", "lower.in"])],
    gestures.setTest("t", { name: "t", expect: [{ node: "lower", packets: 2 }] }),
    gestures.move(B, { filters: { lower: [80, 80] } }),
  );
  for (const [one, other] of [
    [saved, mine],
    [mine, saved],
  ] as const) {
    const { doc, conflicts, renamed } = merge(B, one, other);
    assert.deepEqual(conflicts, []);
    assert.equal(doc.nodes["small"]?.params["size"], 9);
    assert.ok(doc.wires.some(([from, to]) => from === "json.error" && to === "small.in"));
    assert.deepEqual(doc.tests, [{ name: "t", expect: [{ node: "small", packets: 2 }] }]);
    assert.deepEqual(doc.layout["small"], [80, 80]);
    assert.deepEqual(renamed, other === mine ? { lower: "small" } : {});
  }
});

test("two names for one filter are a conflict; one name for two filters is given to the saved one", () => {
  const twice = merge(B, after(gestures.renameFilter("lower", "a")), after(gestures.renameFilter("lower", "b")));
  assert.deepEqual(twice.conflicts.map(brief), [{ what: "name", filter: "a", base: "lower", saved: "a", mine: "b" }]);
  assert.ok(chosen(twice.doc, twice.conflicts[0], "mine").nodes["b"]);
  const met = merge(B, after(gestures.renameFilter("json", "x")), after(gestures.renameFilter("lower", "x")));
  assert.deepEqual([met.conflicts, met.renamed], [[], { json: "x", x: "x2" }]);
  assert.equal(met.doc.nodes["x"]?.component, "JSON");
  assert.deepEqual(met.doc.wires, [
    ["x.out", "x2.in"],
    ["x2.out", "out.in"],
  ]);
});

test("filters of one name that both added are two; without uids they are one", () => {
  const add = (uid: object, size: number): GraphDoc =>
    after([
      { do: "set", path: ["nodes", "batch"], value: { component: "Batch", params: { size }, ...uid } },
      gestures.addWire(["lower.out", "batch.in"]),
    ]);
  const two = merge(B, add({ uid: "a" }, 1), add({ uid: "b" }, 2));
  assert.deepEqual([two.conflicts, two.renamed], [[], { batch: "batch2" }]);
  assert.deepEqual(
    two.doc.wires.map(([, to]) => to),
    ["lower.in", "batch.in", "batch2.in", "out.in"],
  );
  const one = merge(B, add({}, 1), add({}, 2));
  assert.deepEqual(one.conflicts.map(brief), [
    { what: "param", filter: "batch", key: "size", base: undefined, saved: 1, mine: 2 },
  ]);
});

test("keys of the graph, of limits, routes and tests", () => {
  const saved = after(
    gestures.setKey("description", "theirs"),
    gestures.setKey("limits", { queue: 5, letters: 2 }),
    gestures.addRoute("c"),
    gestures.removeRoute("a"),
    gestures.addTest(B, { name: "new", post: [] }).changes,
    gestures.removeTest("t"),
    gestures.setKey("weight", 2),
  );
  const mine = after(
    gestures.setKey("description", "mine"),
    gestures.setKey("limits", { queue: 1, letters: 7 }),
    gestures.addRoute("d"),
    gestures.setTest("t", { name: "t", expect: [{ node: "lower", packets: 7 }] }),
    gestures.setKey("trace", 0.5),
  );
  const { doc, conflicts } = merge(B, saved, mine);
  assert.deepEqual(
    [doc.routes, doc["limits"], doc["weight"], doc["trace"]],
    [["b", "c", "d"], { queue: 5, letters: 7 }, 2, 0.5],
  );
  assert.deepEqual(
    conflicts.map(({ what, where }) => ({ what, ...where })),
    [
      { what: "field", key: "description" },
      { what: "test", key: "t" },
    ],
  );
  assert.equal(chosen(doc, conflicts[0], "mine")["description"], "mine");
  assert.deepEqual(
    chosen(doc, conflicts[1], "mine").tests.map((each) => each["name"]),
    ["new", "t"],
  );
});

test("both changed another limit, or the same", () => {
  const limits = (queue: number): GraphDoc => after(gestures.setKey("limits", { queue, letters: 2 }));
  const { doc, conflicts } = merge(B, limits(5), limits(6));
  assert.deepEqual(
    conflicts.map(({ where }) => where.key),
    ["limits.queue"],
  );
  assert.deepEqual(chosen(doc, conflicts[0], "mine")["limits"], { queue: 6, letters: 2 });
});

test("places never conflict, mine is the last; a cycle is none either", () => {
  const moved = merge(
    B,
    after(gestures.move(B, { filters: { json: [8, 8] } })),
    after(gestures.move(B, { filters: { json: [16, 16] } })),
  );
  assert.deepEqual([moved.conflicts, moved.doc.layout["json"]], [[], [16, 16]]);
  const cycle = merge(
    B,
    after([gestures.addWire(["lower.error", "json.in"])]),
    after([gestures.addWire(["out.error", "lower.in"])]),
  );
  assert.deepEqual([cycle.conflicts, cycle.doc.wires.length], [[], 4]);
});

test("comments: texts conflict, places do not, and a removal of what was changed does", () => {
  const one = merge(
    B,
    after(gestures.setComment("c", { text: "a" })),
    after(gestures.setComment("c", { text: "b", at: [8, 8] })),
  );
  assert.deepEqual(one.conflicts.map(brief), [{ what: "comment", key: "c", base: "why", saved: "a", mine: "b" }]);
  assert.deepEqual(one.doc.comments["c"], { text: "a", at: [8, 8] });
  assert.equal(chosen(one.doc, one.conflicts[0], "mine").comments["c"]?.text, "b");
  const gone = merge(B, after(gestures.removeComment("c")), after(gestures.setComment("c", { text: "b" })));
  assert.deepEqual(chosen(gone.doc, gone.conflicts[0], "mine").comments["c"], { text: "b", at: [0, 0] });
  assert.deepEqual(merge(B, after(gestures.removeComment("c")), after(gestures.setComment("c", { at: [8, 8] }))).conflicts, []);
});
