import assert from "node:assert/strict";
import { test } from "node:test";
import { type Report, type Step, fateOf, firstSpot, formerSpot, nextSpots, sameSpot, sentOf, wayOf } from "../../src/pages/graph/step/report";

const form = (title: string) => ({ fields: { title } });
const call = (taken: number[], out: Record<string, number[]>, more: object = {}) => ({ in: taken, out, at_ms: 0, ms: 1, attempt: 1, dropped: 0, failed: false, ...more });
const origin = (filter: string | null, index: number | null = null, port = "in") => ({ port, filter, out: filter && "out", index });

function step(filter: string, parts: Partial<Step>): Step {
  return { filter, component: "C", in: [], out: {}, dropped: 0, error: null, ms: 1, counts: { in: 0, out: {} }, origins: [], calls: [], ...parts };
}

/** Two documents; each is split into two, the second document fails; a join makes one packet of all that arrives. */
const report: Report = {
  published: 1,
  dropped: 0,
  failed: 1,
  left_out: [],
  failures: [{ filter: "split", code: "c", error: "e", traceback: "", attempts: 3, in: 1 }],
  steps: [
    step("json", { in: [form("1"), form("2")], out: { out: [form("1"), form("2")] }, origins: [origin(null), origin(null)], parents: { out: [0, 1] }, calls: [call([0, 1], { out: [0, 1] })] }),
    step("split", {
      in: [form("1"), form("2")],
      out: { out: [form("1a"), form("1b")] },
      origins: [origin("json", 0), origin("json", 1)],
      parents: { out: [0, 0] },
      calls: [call([0], { out: [0, 1] }), call([1], {}, { failed: true })],
    }),
    step("join", { in: [form("1a"), form("1b")], out: { out: [form("1")] }, origins: [origin("split", 0), origin("split", 1)], parents: { out: [null] }, calls: [call([0, 1], { out: [0] })] }),
    step("end", { in: [form("1")], origins: [origin("join", 0)], calls: [call([0], {})] }),
  ],
};
const names = (spots: readonly { filter: string; at: number }[]) => spots.map(({ filter, at }) => `${filter} ${at}`);

test("packets are followed to what was made of them, and back", () => {
  const split = { filter: "split", at: 0, sent: 1 };
  assert.deepEqual(sentOf(report.steps[1]!, 0), [
    { port: "out", index: 0 },
    { port: "out", index: 1 },
  ]);
  assert.deepEqual(names(nextSpots(report, split)), ["join 1"]);
  assert.deepEqual(formerSpot(report, { filter: "join", at: 1, sent: 0 }), split);
  assert.equal(formerSpot(report, { filter: "json", at: 0, sent: 0 }), undefined);
});

test("what was made of several leads back to the first of them", () => {
  assert.deepEqual(sentOf(report.steps[2]!, 1), [{ port: "out", index: 0 }]);
  assert.deepEqual(names(wayOf(report, { filter: "end", at: 0, sent: 0 })), ["json 0", "split 0", "join 0", "end 0"]);
  assert.deepEqual(names(wayOf(report, { filter: "join", at: 1, sent: 0 })), ["json 0", "split 0", "join 1", "end 0"]);
});

test("a way ends where the packet fails", () => {
  assert.deepEqual(names(wayOf(report, { filter: "json", at: 1, sent: 0 })), ["json 1", "split 1"]);
  assert.equal(fateOf(report, { filter: "split", at: 1, sent: 0 }, false), "failed");
  assert.equal(fateOf(report, { filter: "split", at: 0, sent: 0 }, false), "sent");
  assert.equal(fateOf(report, { filter: "end", at: 0, sent: 0 }, true), "published");
  assert.equal(fateOf(report, { filter: "end", at: 0, sent: 0 }, false), "dropped");
  assert.equal(fateOf(report, { filter: "gone", at: 0, sent: 0 }, false), "none");
});

test("a later run is looked at in the same place, as far as it has it", () => {
  assert.deepEqual(firstSpot(report), { filter: "json", at: 0, sent: 0 });
  assert.equal(sameSpot(report, { filter: "gone", at: 0, sent: 0 }), undefined);
  assert.deepEqual(sameSpot(report, { filter: "split", at: 7, sent: 4 }), { filter: "split", at: 1, sent: 0 });
  assert.deepEqual(sameSpot(report, { filter: "split", at: 0, sent: 4 }), { filter: "split", at: 0, sent: 1 });
});

test("outputs may be called like what every object has", () => {
  const out = (port: string, index: number, taken: number): Step["calls"][number] => call([taken], Object.fromEntries([[port, [index]]]));
  const made = step("route", {
    in: [form("1"), form("2")],
    out: Object.fromEntries([["__proto__", [form("1")]], ["constructor", [form("2")]]]),
    calls: [out("__proto__", 0, 0), out("constructor", 0, 1)],
  });
  assert.deepEqual([0, 1].map((at) => sentOf(made, at)), [[{ port: "__proto__", index: 0 }], [{ port: "constructor", index: 0 }]]);
});
