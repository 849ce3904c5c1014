/** Values of parameters as they are typed and shown. */

import { read as exactly, rounded } from "./exact";
import { type Json, type Said, said } from "./json";
import type { Field } from "./schema";
import { read, write } from "./units";

const VARIABLE = /(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/** The value of what was typed, undefined if that stands for the default; or what is wrong with its form. */
export function parse(field: Field, text: string): { readonly value: Json | undefined } | { readonly error: Said } {
  const bare = text.trim();
  switch (field.kind) {
    case "text":
    case "lines":
      return { value: text };
    case "integer":
    case "number": {
      if (!bare) return { value: undefined };
      const value = read(bare, field.unit);
      return value === null ? { error: said("schema.noNumber") } : whole(/^-?\d+$/.test(bare) ? bare.replace(/^(-?)0+(?=\d)/, "$1") : "0", value);
    }
    case "boolean":
      return bare === "true" || bare === "false"
        ? { value: bare === "true" }
        : bare
          ? { error: said("schema.noBoolean") }
          : { value: undefined };
    case "choice": {
      const found = field.choices?.find((choice) => show(field, choice) === text);
      return found !== undefined
        ? { value: found }
        : variablesIn(text).length
          ? { value: text }
          : { error: said("schema.noChoice") };
    }
    case "any": {
      const value = fromJson(bare);
      return value === undefined ? { value: text } : whole(bare, value);
    }
    default: {
      if (!bare) return { value: undefined };
      const value = fromJson(bare);
      return value === undefined ? { error: said("schema.noJson") } : whole(bare, value);
    }
  }
}

/** A value as it is typed; the empty text for none. */
export function show(field: Field, value: Json | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "number") return write(value, field.unit);
  // a text that would be read as something else is shown as JSON
  if (typeof value === "string")
    return field.kind === "any" && fromJson(value.trim()) !== undefined ? JSON.stringify(value) : value;
  return field.kind === "any" || typeof value !== "object" || value === null
    ? JSON.stringify(value)
    : JSON.stringify(value, null, 1);
}

/** What a new item of a list or a map begins with. */
export function blank(field: Field): Json {
  if (field.default !== undefined) return field.default;
  switch (field.kind) {
    case "integer":
    case "number":
      return typeof field.bounds["minimum"] === "number" ? field.bounds["minimum"] : 0;
    case "boolean":
      return false;
    case "choice":
      return field.choices?.[0] ?? "";
    case "list":
      return [];
    case "map":
    case "json":
      return {};
    case "object":
      return Object.fromEntries((field.fields ?? []).filter((each) => each.isRequired).map((each) => [each.name, blank(each)]));
    case "either":
      return field.options?.[0] ? blank(field.options[0]) : null;
    default:
      return "";
  }
}

/** The variables of the environment that a text names; `$${NAME}` is none. */
export function variablesIn(text: string): readonly string[] {
  return [...text.matchAll(VARIABLE)].flatMap(([, escaped, name]) => (escaped || name === undefined ? [] : [name]));
}

/** Whether a secret is written into the graph, where whoever may read it sees it. */
export function isBare(field: Field, value: Json | undefined): boolean {
  return field.isSecret && typeof value === "string" && value !== "" && !variablesIn(value).length;
}

/** From here on a whole number has more than 64 bits, and up to there it is written without an exponent. */
const [TOO_LARGE, SHORTENED] = [2 ** 63, 1e21];

/** Whether a node takes all numbers of a value as they are written from here. */
function isTaken(value: Json): boolean {
  if (typeof value === "number") return Number.isFinite(value) && (!Number.isInteger(value) || Math.abs(value) < TOO_LARGE || Math.abs(value) >= SHORTENED);
  return typeof value !== "object" || value === null || Object.values(value).every(isTaken);
}

/** The value of a JSON text; an error if a number in it would become another one. */
function whole(text: string, value: Json): { readonly value: Json } | { readonly error: Said } {
  return isTaken(value) && rounded(exactly(text)) === undefined ? { value } : { error: said("schema.tooManyDigits") };
}

function fromJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
