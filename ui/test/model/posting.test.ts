import assert from "node:assert/strict";
import { test } from "node:test";
import { curlOf, headsOf, typeOfText } from "../../src/model/posting";

test("the type of a text is found", () => {
  const texts: Readonly<Record<string, string>> = {
    '{"title": "Ada"}': "application/json",
    ' [{"a": 1}]': "application/json",
    '{"a": 1}\n{"a": 2}\n': "application/x-ndjson",
    "{a torn one": "text/plain",
    "<?xml version='1.0'?><a/>": "application/xml",
    "<!DOCTYPE html><p>A loom": "text/html",
    "<title>A loom</title>": "text/html",
    "< 3 looms": "text/plain",
    "A loom": "text/plain",
    "": "text/plain",
  };
  for (const [text, type] of Object.entries(texts)) assert.equal(typeOfText(text), type, text);
});

test("a shell takes each letter as it is", () => {
  const posted = { url: "http://node/docs/shop", type: "text/plain", id: "it's 1 €", body: { text: "@it's $HOME" }, needsToken: true };
  assert.equal(
    curlOf(posted),
    `curl -H "Authorization: Bearer $PYPES_TOKEN" -H 'Content-Type: text/plain' -H 'Pypes-Id: it'\\''s%201%20%E2%82%AC' --data-raw '@it'\\''s $HOME' 'http://node/docs/shop'`,
  );
});

test("a file is posted under its name", () => {
  const posted = { id: "", body: { file: "naïve's.md" } };
  assert.deepEqual(headsOf(posted), { "Content-Disposition": "attachment; filename*=UTF-8''na%C3%AFve%27s.md" });
  assert.match(curlOf({ ...posted, url: "http://node/docs", type: "text/markdown", needsToken: false }), /--data-binary '@naïve'\\''s.md' 'http:\/\/node\/docs'$/);
});
