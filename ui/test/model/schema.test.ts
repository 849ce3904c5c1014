import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonObject } from "../../src/model/json";
import { type Field, OPTION_FIELDS, fieldsOf } from "../../src/model/schema";
import { blank, isBare, parse, show, variablesIn } from "../../src/model/typed";
import { read, write } from "../../src/model/units";
import { optionOf, problemsOf, problemsOfParams } from "../../src/model/validity";

function only(name: string, schema: Json, more: JsonObject = {}): Field {
  const [field] = fieldsOf({ type: "object", properties: { [name]: schema }, required: [], ...more });
  assert.ok(field);
  return field;
}

const keys = (field: Field, value: Json | undefined): string[] =>
  problemsOf(field, value).map(({ path, said }) => [...path, said.key].join("/"));

test("the kinds of fields", () => {
  const kinds: Record<string, [Json, string]> = {
    field: [{ type: "string" }, "text"],
    template: [{ type: "string", maxLength: 100000 }, "lines"],
    query: [{ type: "string" }, "lines"],
    size: [{ type: "integer" }, "integer"],
    share: [{ type: "number" }, "number"],
    quotes: [{ type: "boolean" }, "boolean"],
    mode: [{ enum: ["append", "keep"] }, "choice"],
    fixed: [{ const: 1 }, "choice"],
    fields: [{ type: "array", items: { type: "string" } }, "list"],
    headers: [{ type: "object", additionalProperties: { type: "string" } }, "map"],
    options: [{ type: "object" }, "map"],
    rule: [{ type: "object", properties: { path: { type: "string" } }, required: ["path"] }, "object"],
    either: [{ anyOf: [{ type: "string" }, { type: "integer" }] }, "either"],
    both: [{ type: ["string", "integer"] }, "either"],
    maybe: [{ anyOf: [{ type: "integer" }, { type: "null" }] }, "integer"],
    value: [{ default: "" }, "any"],
    tuple: [{ type: "array", prefixItems: [{ type: "string" }] }, "json"],
    mixed: [{ type: "object", properties: {}, additionalProperties: { type: "string" } }, "json"],
    odd: [{ not: { type: "string" } }, "json"],
    lost: [{ $ref: "#/$defs/Nowhere" }, "json"],
    self: [{ $ref: "#/$defs/Self" }, "list"],
    nothing: [true, "any"],
  };
  const more = { $defs: { Self: { type: "array", items: { $ref: "#/$defs/Self" } } } };
  for (const [name, [schema, kind]] of Object.entries(kinds)) assert.equal(only(name, schema, more).kind, kind, name);
  assert.equal(only("maybe", kinds["maybe"]?.[0] ?? null).isNullable, true);
});

test("what a field says of itself", () => {
  const field = only("max_bytes", { type: "integer", minimum: 1, default: 1024, description: "Longer ones are rejected." });
  assert.deepEqual(field, {
    name: "max_bytes",
    kind: "integer",
    help: "Longer ones are rejected.",
    isRequired: false,
    isNullable: false,
    isSecret: false,
    default: 1024,
    unit: "bytes",
    bounds: { minimum: 1 },
  });
  assert.equal(only("path", { type: "string", format: "path" }).format, "path");
  assert.equal(only("password", { type: "string", description: "As ${NAME}." }).isSecret, true);
  assert.equal(only("key", { type: "string", description: "Column that is compared." }).isSecret, false);
  const fields = fieldsOf({ type: "object", properties: { a: { type: "string" }, b: { type: "string" } }, required: ["b"] });
  assert.deepEqual(
    fields.map(({ name }) => name),
    ["b", "a"],
  );
});

test("a rule or a path: one of two, by reference", () => {
  const rule = {
    type: "object",
    properties: { path: { type: "string", minLength: 1 }, mode: { enum: ["each", "first"], default: "each" } },
    required: ["path"],
  };
  const field = only(
    "fields",
    { type: "object", additionalProperties: { anyOf: [{ type: "string" }, { $ref: "#/$defs/Rule" }] } },
    { $defs: { Rule: rule } },
  );
  assert.deepEqual(
    field.item?.options?.map(({ kind }) => kind),
    ["text", "object"],
  );
  assert.deepEqual(keys(field, { title: "//title", text: { path: "//p", mode: "first" } }), []);
  assert.deepEqual(keys(field, { a: 1, b: { mode: "last" }, c: { path: "", more: 1 } }), [
    "a/schema.type.either",
    "b/path/schema.required",
    "b/mode/schema.noChoice",
    "c/path/schema.empty",
    "c/more/schema.unknown",
  ]);
  assert.equal(optionOf(field.item as Field, { mode: "last" }), 1);
  assert.equal(optionOf(field.item as Field, "x"), 0);
  assert.deepEqual(blank(field.item?.options?.[1] as Field), { path: "" });
});

test("bounds", () => {
  assert.deepEqual(keys(only("n", { type: "integer", minimum: 1, maximum: 5 }), 0), ["schema.minimum"]);
  assert.deepEqual(keys(only("n", { type: "integer", minimum: 1, maximum: 5 }), 6), ["schema.maximum"]);
  assert.deepEqual(keys(only("n", { type: "integer" }), 1.5), ["schema.type.integer"]);
  assert.deepEqual(keys(only("n", { type: "number", exclusiveMinimum: 0 }), 0), ["schema.exclusiveMinimum"]);
  assert.deepEqual(keys(only("t", { type: "string", maxLength: 1 }), "😀"), []);
  assert.deepEqual(keys(only("t", { type: "string", minLength: 1 }), ""), ["schema.empty"]);
  assert.deepEqual(keys(only("t", { type: "string", pattern: "^[a-z]*$" }), "A"), ["schema.pattern"]);
  assert.deepEqual(keys(only("t", { type: "string", pattern: "(?P<python>" }), "A"), []);
  assert.deepEqual(keys(only("l", { type: "array", items: { type: "integer" }, minItems: 1 }), []), ["schema.minItems"]);
  assert.deepEqual(keys(only("l", { type: "array", items: { type: "integer" } }), [1, "a"]), ["1/schema.type.integer"]);
  assert.deepEqual(keys(only("m", { type: "object", additionalProperties: {}, minProperties: 1 }), {}), [
    "schema.minProperties",
  ]);
  assert.deepEqual(keys(only("t", { type: "string" }), "https://***@host"), ["schema.hidden"]);
  assert.deepEqual(problemsOf(only("max_bytes", { type: "integer", minimum: 1024 }), 1)[0]?.said.params, { limit: "1 KiB" });
  assert.deepEqual(
    problemsOfParams(fieldsOf({ properties: { a: { type: "string" } }, required: ["a"] }), { b: 1 }).map(({ path }) => path),
    [["a"], ["b"]],
  );
  assert.deepEqual(keys(OPTION_FIELDS[0] as Field, 0), ["schema.exclusiveMinimum"]);
});

test("variables of the environment", () => {
  assert.deepEqual(variablesIn("a ${ONE} $${TWO} ${THREE}"), ["ONE", "THREE"]);
  assert.deepEqual(keys(only("t", { type: "string", pattern: "^x$" }), "${NAME}"), []);
  assert.deepEqual(keys(only("c", { enum: ["a"] }), "${NAME}"), []);
  assert.deepEqual(keys(only("n", { type: "integer" }), "${NAME}"), ["schema.type.integer"]);
  const secret = only("password", { type: "string", description: "As ${NAME}." });
  assert.deepEqual([isBare(secret, "hunter2"), isBare(secret, "${PASSWORD}"), isBare(secret, "")], [true, false, false]);
});

test("what is typed is read, and shown as it was", () => {
  const cases: [Json, Json, string, string][] = [
    [{ type: "string" }, " a ", " a ", "f"],
    [{ type: "integer" }, 12, "12", "f"],
    [{ type: "integer" }, 67108864, "64 MiB", "max_bytes"],
    [{ type: "number" }, 604800, "7 d", "tombstone_s"],
    [{ type: "number" }, 0.25, "0.25", "wait_s"],
    [{ type: "boolean" }, true, "true", "f"],
    [{ enum: ["", "a", 1] }, 1, "1", "f"],
    [{ enum: ["", "a", 1] }, "", "", "f"],
    [{}, "plain", "plain", "f"],
    [{}, "5", '"5"', "f"],
    [{}, 5, "5", "f"],
    [{}, ["a"], '["a"]', "f"],
    [{ type: "number" }, 1e300, "1e+300", "f"],
    [{ type: "integer" }, -9007199254740992, "-9007199254740992", "f"],
    [{ not: {} }, { a: 1 }, '{\n "a": 1\n}', "f"],
  ];
  for (const [schema, value, text, name] of cases) {
    const field = only(name, schema);
    assert.equal(show(field, value), text);
    assert.deepEqual(parse(field, text), { value }, text);
  }
  const errors: [Json, string, string][] = [
    [{ type: "integer" }, "a", "schema.noNumber"],
    [{ type: "number" }, "1,5", "schema.noNumber"],
    [{ type: "boolean" }, "yes", "schema.noBoolean"],
    [{ enum: ["a"] }, "b", "schema.noChoice"],
    [{ not: {} }, "{", "schema.noJson"],
    // none of these would come to the node as it was typed
    ...["99999999999999999999", "-9007199254740993", "9223372036854775808"].flatMap((text): [Json, string, string][] =>
      [{ type: "integer" }, {}, { not: {} }].map((schema) => [schema, text, "schema.tooManyDigits"]),
    ),
    [{ type: "number" }, "1e20", "schema.tooManyDigits"],
    [{}, '{"a": [1e400]}', "schema.tooManyDigits"],
  ];
  for (const [schema, text, key] of errors) assert.deepEqual(parse(only("f", schema), text), { error: { key, params: {} } });
  assert.deepEqual(parse(only("f", { type: "integer" }), " "), { value: undefined });
  assert.deepEqual(parse(only("f", { enum: ["a"] }), "${NAME}"), { value: "${NAME}" });
});

test("units", () => {
  const typed: [string, "seconds" | "bytes", number | null][] = [
    ["90", "seconds", 90],
    ["1.5 h", "seconds", 5400],
    ["2m", "seconds", 120],
    ["250 ms", "seconds", 0.25],
    ["7 d", "seconds", 604800],
    ["64MiB", "bytes", 67108864],
    ["1k", "bytes", 1024],
    ["2 GB", "bytes", 2147483648],
    ["1e3", "bytes", 1000],
    ["2 h", "bytes", null],
    ["", "bytes", null],
  ];
  for (const [text, unit, value] of typed) assert.equal(read(text, unit), value, text);
  for (const [value, text] of [
    [0, "0"],
    [90, "90"],
    [120, "2 min"],
    [86400, "1 d"],
    [0.1, "0.1"],
  ] as const)
    assert.equal(write(value, "seconds"), text);
  for (const [value, text] of [
    [1000, "1000"],
    [1536, "1536"],
    [2048, "2 KiB"],
  ] as const)
    assert.equal(write(value, "bytes"), text);
});
