import assert from "node:assert/strict";
import test from "node:test";
import { wayTo } from "../../src/model/way";

const WIRES = [
  ["json.out", "drop.in"],
  ["drop.out", "left.in"],
  ["drop.out", "right.in"],
  ["left.out", "end.in"],
  ["right.out", "end.in"],
  ["csv.out", "other.in"],
] as const;

test("the filters before an end, each after those before it", () => {
  assert.deepEqual(wayTo(["end"], WIRES), ["json", "drop", "left", "right", "end"]);
  assert.deepEqual(wayTo(["right", "left"], WIRES), ["json", "drop", "right", "left"]);
});

test("without an end there is no way, and an end that is not in the graph stands by itself", () => {
  assert.deepEqual(wayTo([], WIRES), []);
  assert.deepEqual(wayTo(["gone"], WIRES), ["gone"]);
});
