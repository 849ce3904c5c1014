/** The parameters of a component as fields of a form, made of its JSON Schema. */

import { type Json, type JsonObject, isObject, own } from "./json";
import { type Unit, unitOf } from "./units";

export type Kind =
  | "text"
  /** Text of several lines. */
  | "lines"
  | "number"
  | "integer"
  | "boolean"
  | "choice"
  /** A list of `item`. */
  | "list"
  /** An object of any keys, with `item` for each. */
  | "map"
  /** An object of `fields`. */
  | "object"
  /** One of `options`, each a field of its own. */
  | "either"
  /** Any value: JSON, or else text. */
  | "any"
  /** What no other kind is for, as JSON. */
  | "json";

export interface Field {
  readonly name: string;
  readonly kind: Kind;
  readonly help: string;
  readonly isRequired: boolean;
  /** May be null. */
  readonly isNullable: boolean;
  /** Meant for `${NAME}`, a variable of the environment of the node. */
  readonly isSecret: boolean;
  readonly default?: Json;
  readonly unit?: Unit;
  readonly format?: string;
  readonly choices?: readonly Json[];
  readonly item?: Field;
  readonly fields?: readonly Field[];
  readonly options?: readonly Field[];
  /** What the schema says of values: `minimum`, `pattern`, `minItems` … */
  readonly bounds: JsonObject;
}

const SECRET = /(^|_)(secret|password|token|key)$/;
const LONG = /(^|_)(template|query|body|script|statement|prompt)$/;
/** A text that may be longer than this is given room. */
const MANY_CHARS = 1000;
const DEEPEST = 8;
const BOUNDS = [
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "minLength",
  "maxLength",
  "pattern",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
];
/** All that fields know of; with anything else, values are edited as JSON. */
const KNOWN = new Set([
  ...BOUNDS,
  "type",
  "title",
  "description",
  "default",
  "enum",
  "const",
  "format",
  "items",
  "properties",
  "required",
  "additionalProperties",
  "anyOf",
  "oneOf",
  "$ref",
  "$defs",
  "harmless",
  "examples",
  "uniqueItems",
]);

/** What every filter may have besides its parameters; those of batches only where its component takes batches. */
export const OPTION_FIELDS: readonly Field[] = (
  [
    ["timeout_s", "number", { exclusiveMinimum: 0 }],
    ["max_attempts", "integer", { minimum: 1 }],
    ["batch_size", "integer", { minimum: 1 }],
    ["batch_bytes", "integer", { minimum: 1 }],
    ["batch_s", "number", { minimum: 0 }],
  ] as const
).map(([name, kind, bounds]) => {
  const unit = unitOf(name);
  return { name, kind, bounds, help: "", isRequired: false, isNullable: false, isSecret: false, ...(unit ? { unit } : {}) };
});

/** The fields of an object schema in the order in which they are written, required ones first. */
export function fieldsOf(schema: JsonObject): readonly Field[] {
  return new Reader(schema).fields(schema, 0);
}

class Reader {
  private readonly definitions: JsonObject;

  constructor(schema: JsonObject) {
    const { $defs } = schema;
    this.definitions = isObject($defs) ? $defs : {};
  }

  fields(schema: JsonObject, depth: number): readonly Field[] {
    const properties = isObject(schema["properties"]) ? schema["properties"] : {};
    const required = Array.isArray(schema["required"]) ? schema["required"] : [];
    const found = Object.entries(properties).map(([name, each]) => this.field(name, each, required.includes(name), depth));
    return [...found.filter((field) => field.isRequired), ...found.filter((field) => !field.isRequired)];
  }

  field(name: string, given: Json, isRequired: boolean, depth: number): Field {
    const schema = this.resolved(given);
    const help = typeof schema["description"] === "string" ? schema["description"] : "";
    const known = Object.fromEntries(BOUNDS.flatMap((key) => (schema[key] === undefined ? [] : [[key, schema[key]]])));
    const base = {
      name,
      help,
      isRequired,
      isNullable: isNullable(schema),
      isSecret: SECRET.test(name) && /\$\{/.test(help),
      bounds: known,
      ...(schema["default"] === undefined ? {} : { default: schema["default"] }),
      ...(typeof schema["format"] === "string" ? { format: schema["format"] } : {}),
    };
    return { ...base, ...this.shape(name, schema, help, depth) };
  }

  /** A schema with what it refers to; what is said beside a reference is said of this place. */
  private resolved(given: Json): JsonObject {
    let schema: JsonObject = isObject(given) ? given : {};
    for (let step = 0; typeof schema["$ref"] === "string" && step < DEEPEST; step++) {
      const { $ref, ...rest } = schema;
      const target = own(this.definitions, String($ref).split("/").at(-1) ?? "");
      schema = { ...(isObject(target) ? target : { "?": true }), ...rest };
    }
    return schema;
  }

  private shape(name: string, schema: JsonObject, help: string, depth: number): Partial<Field> & { kind: Kind } {
    if (depth > DEEPEST || Object.keys(schema).some((key) => !KNOWN.has(key))) return { kind: "json" };
    const variants = [schema["anyOf"], schema["oneOf"]].flatMap((list) => (Array.isArray(list) ? list : []));
    const choices = Array.isArray(schema["enum"]) ? schema["enum"] : schema["const"] === undefined ? null : [schema["const"]];
    if (choices) return { kind: "choice", choices };
    if (variants.length) return this.variants(name, variants, depth);
    const types = typesOf(schema).filter((type) => type !== "null");
    if (types.length > 1)
      return this.variants(
        name,
        types.map((type) => ({ ...schema, type })),
        depth,
      );
    const unit = unitOf(name);
    switch (types[0]) {
      case "string":
        return { kind: isLong(name, schema, help) ? "lines" : "text" };
      case "integer":
      case "number":
        return { kind: types[0], ...(unit ? { unit } : {}) };
      case "boolean":
        return { kind: "boolean" };
      case "array":
        return isObject(schema["items"])
          ? { kind: "list", item: this.field("", schema["items"], true, depth + 1) }
          : { kind: "json" };
      case "object":
        if (isObject(schema["properties"]) && !isObject(schema["additionalProperties"]))
          return { kind: "object", fields: this.fields(schema, depth + 1) };
        if (isObject(schema["properties"])) return { kind: "json" };
        // without a word on what is in it: anything under any name
        return { kind: "map", item: this.field("", schema["additionalProperties"] ?? {}, true, depth + 1) };
      case undefined:
        return { kind: "any" };
      default:
        return { kind: "json" };
    }
  }

  private variants(name: string, given: readonly Json[], depth: number): Partial<Field> & { kind: Kind } {
    const found = given
      .filter((each) => !(isObject(each) && each["type"] === "null"))
      .map((each) => this.field(name, each, true, depth + 1));
    const [only, ...more] = found;
    if (!only) return { kind: "json" };
    if (more.length) return { kind: "either", options: found };
    const { name: _, help: __, isRequired: ___, isNullable: ____, default: _____, ...shape } = only;
    return shape;
  }
}

function typesOf(schema: JsonObject): readonly Json[] {
  const { type } = schema;
  return Array.isArray(type) ? type : type === undefined ? [] : [type];
}

function isNullable(schema: JsonObject): boolean {
  const variants = [schema["anyOf"], schema["oneOf"]].flatMap((list) => (Array.isArray(list) ? list : []));
  return typesOf(schema).includes("null") || variants.some((each) => isObject(each) && each["type"] === "null");
}

function isLong(name: string, schema: JsonObject, help: string): boolean {
  const { maxLength, pattern, format } = schema;
  if (pattern !== undefined || format !== undefined || /^(Field|Column|Member)\b/.test(help)) return false;
  return LONG.test(name) || (typeof maxLength === "number" && maxLength >= MANY_CHARS);
}
