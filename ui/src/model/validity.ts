/** What is wrong with values of parameters, as far as their schema says; the node says the rest. */

import { type Json, type JsonObject, type Said, equal, isObject, own, said } from "./json";
import type { Field } from "./schema";
import { variablesIn } from "./typed";
import { write } from "./units";

/** A problem with a value, or with what is in it. */
export interface Problem {
  readonly path: readonly string[];
  readonly said: Said;
}

/** Everything that is wrong with the parameters of a filter, as far as the schema says. */
export function problemsOfParams(fields: readonly Field[], params: JsonObject): readonly Problem[] {
  return inObject(fields, params);
}

/** What is wrong with a value; undefined is one that is not given. */
export function problemsOf(field: Field, value: Json | undefined): readonly Problem[] {
  if (value === undefined) return field.isRequired ? [problem("schema.required")] : [];
  if (value === null && field.isNullable) return [];
  if (typeof value === "string" && value.includes("***")) return [problem("schema.hidden")];
  if (!hasType(field, value)) return [problem(`schema.type.${field.kind}`)];
  if (typeof value === "string" && variablesIn(value).length) return [];
  switch (field.kind) {
    case "choice":
      return field.choices?.some((choice) => equal(choice, value)) ? [] : [problem("schema.noChoice")];
    case "either":
      return either(field, value);
    case "list":
      return [
        ...bounded(field, value),
        ...(value as readonly Json[]).flatMap((item, index) => inside(String(index), field.item, item)),
      ];
    case "map":
      return [
        ...bounded(field, value),
        ...Object.entries(value as JsonObject).flatMap(([key, item]) => inside(key, field.item, item)),
      ];
    case "object":
      return inObject(field.fields ?? [], value as JsonObject);
    default:
      return bounded(field, value);
  }
}

function inObject(fields: readonly Field[], value: JsonObject): readonly Problem[] {
  const known = new Set(fields.map((field) => field.name));
  const unknown = Object.keys(value).filter((key) => !known.has(key));
  return [
    ...fields.flatMap((field) => inside(field.name, field, own(value, field.name))),
    ...unknown.map((key): Problem => ({ path: [key], said: said("schema.unknown", { name: key }) })),
  ];
}

function inside(key: string, field: Field | undefined, value: Json | undefined): readonly Problem[] {
  return field ? problemsOf(field, value).map((each) => ({ ...each, path: [key, ...each.path] })) : [];
}

function either(field: Field, value: Json): readonly Problem[] {
  const found = (field.options ?? []).map((option) => problemsOf(option, value));
  if (!found.length || found.some((problems) => !problems.length)) return [];
  return found[(field.options ?? []).findIndex((option) => hasType(option, value))] ?? [];
}

function hasType(field: Field, value: Json | undefined): boolean {
  switch (field.kind) {
    case "text":
    case "lines":
      return typeof value === "string";
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    case "list":
      return Array.isArray(value);
    case "map":
    case "object":
      return isObject(value);
    case "either":
      return (field.options ?? []).some((option) => hasType(option, value));
    default:
      return true;
  }
}

function bounded(field: Field, value: Json): readonly Problem[] {
  const found: Problem[] = [];
  const bound = (key: string, is: (limit: number) => boolean): void => {
    const limit = field.bounds[key];
    if (typeof limit === "number" && !is(limit)) found.push(problem(`schema.${key}`, { limit: write(limit, field.unit) }));
  };
  if (typeof value === "number") {
    bound("minimum", (limit) => value >= limit);
    bound("maximum", (limit) => value <= limit);
    bound("exclusiveMinimum", (limit) => value > limit);
    bound("exclusiveMaximum", (limit) => value < limit);
    bound("multipleOf", (limit) => Number.isInteger(value / limit));
  } else if (typeof value === "string") {
    const length = [...value].length;
    if (field.bounds["minLength"] === 1 && length === 0) return [problem("schema.empty")];
    bound("minLength", (limit) => length >= limit);
    bound("maxLength", (limit) => length <= limit);
    if (!matches(field.bounds["pattern"], value))
      found.push(problem("schema.pattern", { pattern: String(field.bounds["pattern"]) }));
  } else if (Array.isArray(value)) {
    bound("minItems", (limit) => value.length >= limit);
    bound("maxItems", (limit) => value.length <= limit);
  } else if (isObject(value)) {
    bound("minProperties", (limit) => Object.keys(value).length >= limit);
    bound("maxProperties", (limit) => Object.keys(value).length <= limit);
  }
  return found;
}

/** Whether a text has a pattern. One that this browser does not understand is left to the node. */
function matches(pattern: Json | undefined, value: string): boolean {
  if (typeof pattern !== "string") return true;
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true;
  }
}

function problem(key: string, params: Said["params"] = {}): Problem {
  return { path: [], said: said(key, params) };
}

/** Which of the options of an `either` a value is, or the first. */
export function optionOf(field: Field, value: Json | undefined): number {
  const found = (field.options ?? []).findIndex((option) => problemsOf(option, value).length === 0);
  const alike = found < 0 ? (field.options ?? []).findIndex((option) => hasType(option, value)) : found;
  return Math.max(0, alike);
}
