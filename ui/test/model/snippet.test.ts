import assert from "node:assert/strict";
import test from "node:test";
import { piecesOf, webAddress } from "../../src/model/snippet";

test("what was found stands in brackets", () => {
  assert.deepEqual(
    piecesOf("…the [engine] of [Ada]").map(({ text, isFound }) => (isFound ? `<${text}>` : text)),
    ["…the ", "<engine>", " of ", "<Ada>"],
  );
  assert.deepEqual(piecesOf("[a"), [{ text: "[a", isFound: false }]);
  assert.deepEqual(piecesOf(""), []);
});

test("only addresses of the web are links", () => {
  assert.equal(webAddress("https://example.org/a b"), "https://example.org/a%20b");
  for (const text of ["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "notes.txt", ""]) assert.equal(webAddress(text), undefined);
});
