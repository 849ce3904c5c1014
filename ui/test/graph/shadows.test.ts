import assert from "node:assert/strict";
import { test } from "node:test";
import { type ShadowReport, sumsOf } from "../../src/pages/graph/versions/shadows";

const report = (parts: Partial<ShadowReport>): ShadowReport => ({ shadow: "s", version: 1, state: "running", incomplete: true, error: null, started: "", wanted: 10, documents: 10, missed: 0, ...parts });

test("what fails with the draft is told from what is only different", () => {
  const fates = [
    { live: "published", candidate: "failed in a (x)", documents: 2 },
    { live: "failed in a (x)", candidate: "failed in b (x)", documents: 1 },
    { live: "failed in a (x)", candidate: "published", documents: 1 },
  ];
  assert.deepEqual(sumsOf(report({ different: 6, fates })), { same: 4, different: 4, failed: 2 });
  assert.deepEqual(sumsOf(report({ documents: 0 })), { same: 0, different: 0, failed: 0 });
});
