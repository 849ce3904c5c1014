import assert from "node:assert/strict";
import test from "node:test";
import { address, placeOf } from "../src/router";

test("an address leads back to its parts, whatever they hold", () => {
  const parts = ["graphs", "a b/c", "100%?#"];
  const place = placeOf(address(parts, { filter: "x&y", none: undefined }));
  assert.deepEqual(place.parts, parts);
  assert.deepEqual([...place.params], [["filter", "x&y"]]);
});

test("what no address can mean is taken as it stands", () => {
  assert.deepEqual(placeOf("#/graphs/%E0%A4%A").parts, ["graphs", "%E0%A4%A"]);
  assert.deepEqual(placeOf("").parts, []);
});
