import assert from "node:assert/strict";
import test from "node:test";
import { Digits, exact, type Exact, type Fault, isObjectOf, kindOf, NotJson, read, rounded, same, write } from "../../src/model/exact";

const refusal = (text: string): [Fault, number, number] => {
  try {
    read(text);
  } catch (error) {
    if (error instanceof NotJson) return [error.fault, error.line, error.column];
    throw error;
  }
  throw new Error("it was read");
};

test("what is read is written as it was: digits, order of names, names of every kind", () => {
  const text = '{"2":1.0,"1":12345678901234567890,"__proto__":{"a":-0.5e+3},"constructor":[null,true,false,"\\"\\u0001"],"":[]}';
  assert.equal(write(read(text)), text);
});

test("a number that would be rounded is found, and none else", () => {
  for (const text of ["9007199254740992", "-0", "1.0", "0.1", "1e400", "123456789012345678901234567890.5", '"12345678901234567890"'])
    assert.equal(rounded(read(`{"a":[${text}]}`)), undefined, text);
  for (const digits of ["9007199254740993", "-12345678901234567890", "1".repeat(400)])
    assert.deepEqual(rounded(read(`{"a":[0,{"b":${digits}}]}`)), { place: ["a", "1", "b"], digits });
});

test("whatever JSON.parse reads is read alike", () => {
  for (const text of ['""', "0", "-0", "[[],{}]", ' {\n "a" : [ 1 , "b" ] }\t', '"\\ud83d\\ude00 \\/ \\n"', "1e400"]) assert.deepEqual(JSON.parse(write(read(text))), JSON.parse(text));
});

test("a text that is no JSON is refused, with the place", () => {
  assert.deepEqual(refusal(""), ["empty", 1, 1]);
  assert.deepEqual(refusal('{"a": }'), ["value", 1, 7]);
  assert.deepEqual(refusal('{\n "a" 1}'), ["colon", 2, 6]);
  assert.deepEqual(refusal("[1 2]"), ["comma", 1, 4]);
  assert.deepEqual(refusal("{a: 1}"), ["name", 1, 2]);
  assert.deepEqual(refusal('"a\n"'), ["text", 1, 1]);
  assert.deepEqual(refusal('{"a":1,\n"a":2}')[0], "twice");
  assert.deepEqual(refusal("1 2"), ["rest", 1, 3]);
  assert.equal(refusal("01")[0], "rest");
  assert.equal(refusal("[".repeat(300))[0], "deep");
});

test("two values are the same whatever the order of names, but not if a number is written otherwise", () => {
  assert.ok(same(read('{"a":1,"b":[2]}'), read('{"b":[2],"a":1}')));
  assert.ok(!same(read("1"), read("1.0")));
  assert.ok(!same(read('"1"'), read("1")));
  assert.ok(!same(read("[1]"), read("[1,1]")));
  assert.ok(!same(read('{"a":null}'), read("{}")));
});

test("values are written on lines of their own, short lists on one", () => {
  assert.equal(write(read('{"tags":["a","b"],"of":{"x":[]},"deep":[{"y":1}]}'), 2), '{\n  "tags": ["a", "b"],\n  "of": {\n    "x": []\n  },\n  "deep": [\n    {\n      "y": 1\n    }\n  ]\n}');
});

test("values that were parsed can be shown as well", () => {
  const value: Exact = exact(JSON.parse('{"__proto__":[1.5,"x",null,true]}'));
  assert.ok(isObjectOf(value) && value.has("__proto__"));
  assert.deepEqual(["", new Digits("1"), true, null, [], new Map()].map(kindOf), ["text", "number", "boolean", "nothing", "list", "object"]);
});
