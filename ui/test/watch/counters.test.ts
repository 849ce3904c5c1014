/** How counters become what is drawn. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { levelOf, quantile, widthOf } from "../../src/pages/graph/watch/counters";

test("a wire grows with the logarithm of what passes, and no further than there is room", () => {
  assert.equal(widthOf(0), 1.5);
  assert.ok(widthOf(10) > widthOf(1));
  assert.ok(Math.abs(widthOf(10_000) - widthOf(1000) - 1.4) < 0.01);
  assert.equal(widthOf(1e12), 8);
});

test("a wire is amber from 60 %, and red from 85 % of its bound", () => {
  const level = (depth: number) => levelOf({ depth, bound: 100 });
  assert.deepEqual([59, 60, 84, 85, 120].map(level), ["", "warn", "warn", "bad", "bad"]);
  assert.equal(levelOf({ packets: 5 }), "");
});

test("quantiles are the bounds below which packets lie", () => {
  const bounds = [1, 2, 4];
  assert.equal(quantile([0, 0, 0, 0], bounds, 0.5), undefined);
  assert.equal(quantile([5, 4, 1, 0], bounds, 0.5), 1);
  assert.equal(quantile([5, 4, 1, 0], bounds, 0.99), 4);
  assert.equal(quantile([0, 0, 0, 3], bounds, 0.5), Infinity);
});
