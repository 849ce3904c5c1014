/** JSON read and written exactly: digits of numbers, the order of names and names such as `__proto__` stay as they are.
 *
 * `JSON.parse` makes 1 of 1.0, rounds large numbers, and sorts names that are numbers: whoever mends one field of a packet would
 * change others.
 */

/** A number as it is written. */
export class Digits {
  constructor(readonly text: string) {}
}

export type Exact = null | boolean | string | Digits | readonly Exact[] | ReadonlyMap<string, Exact>;
export type ExactObject = ReadonlyMap<string, Exact>;
export type Kind = "text" | "number" | "boolean" | "nothing" | "list" | "object";

export type Fault = "empty" | "value" | "text" | "name" | "colon" | "comma" | "twice" | "rest" | "deep";

/** A text that is no JSON: the kind of fault, and where it is, both from 1. */
export class NotJson extends Error {
  constructor(
    readonly fault: Fault,
    readonly line: number,
    readonly column: number,
  ) {
    super(`${fault} at line ${line}, column ${column}`);
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const TEXT = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SPACE = /[ \t\r\n]*/y;
const WORDS: readonly (readonly [string, Exact])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];
/** Containers within containers; the node takes no more either. */
const DEPTH = 200;

/** The value of a JSON text. Throws {@link NotJson}. */
export function read(text: string): Exact {
  let at = 0;

  const fail = (fault: Fault): never => {
    const before = text.slice(0, at).split("\n");
    throw new NotJson(fault, before.length, (before.at(-1) ?? "").length + 1);
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const takes = (char: string): boolean => {
    match(SPACE);
    if (text[at] !== char) return false;
    at++;
    return true;
  };
  const string = (fault: Fault): string => {
    match(SPACE);
    const found = match(TEXT);
    return found === undefined ? fail(fault) : (JSON.parse(found) as string);
  };
  const items = (end: string, depth: number, item: () => void): void => {
    if (depth > DEPTH) fail("deep");
    if (takes(end)) return;
    do item();
    while (takes(","));
    if (!takes(end)) fail("comma");
  };
  const value = (depth: number): Exact => {
    match(SPACE);
    if (takes("{")) {
      const found = new Map<string, Exact>();
      items("}", depth, () => {
        const name = string("name");
        if (found.has(name)) fail("twice");
        if (!takes(":")) fail("colon");
        found.set(name, value(depth + 1));
      });
      return found;
    }
    if (takes("[")) {
      const found: Exact[] = [];
      items("]", depth, () => found.push(value(depth + 1)));
      return found;
    }
    if (text[at] === '"') return string("text");
    const digits = match(NUMBER);
    if (digits !== undefined) return new Digits(digits);
    for (const [word, known] of WORDS)
      if (text.startsWith(word, at)) {
        at += word.length;
        return known;
      }
    return fail(at >= text.length && depth === 0 ? "empty" : "value");
  };

  const found = value(0);
  match(SPACE);
  return at < text.length ? fail("rest") : found;
}

/** The JSON text of a value; with `indent` spaces for each level, and short values on one line, or without any. */
export function write(value: Exact, indent = 0, level = 0): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Digits) return value.text;
  const isList = isListOf(value);
  const parts = isList
    ? value.map((item) => write(item, indent, level + 1))
    : [...value].map(([name, item]) => `${JSON.stringify(name)}:${indent ? " " : ""}${write(item, indent, level + 1)}`);
  const [open, close] = isList ? "[]" : "{}";
  const isFlat = !indent || !parts.length || (isList && value.every((item) => !isInner(item)) && parts.join(", ").length < 80);
  if (isFlat) return open + parts.join(indent ? ", " : ",") + close;
  const line = `\n${" ".repeat(indent * (level + 1))}`;
  return `${open}${line}${parts.join(`,${line}`)}\n${" ".repeat(indent * level)}${close}`;
}

/** A value that was read by `JSON.parse`: of what a page shows only. */
export function exact(value: unknown): Exact {
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return new Digits(String(value));
  if (Array.isArray(value)) return value.map(exact);
  return new Map(Object.entries(value as object).map(([name, item]) => [name, exact(item)]));
}

export const isObjectOf = (value: Exact | undefined): value is ExactObject => value instanceof Map;
// the type of a read-only list is not one that Array.isArray tells apart
export const isListOf = (value: Exact | undefined): value is readonly Exact[] => Array.isArray(value);
const isInner = (value: Exact): boolean => isObjectOf(value) || isListOf(value);

export function kindOf(value: Exact): Kind {
  if (value === null) return "nothing";
  if (typeof value === "string") return "text";
  if (typeof value === "boolean") return "boolean";
  if (value instanceof Digits) return "number";
  return isListOf(value) ? "list" : "object";
}

/** Whether two values are the same; the order of names does not matter, how a number is written does. */
export function same(one: Exact | undefined, other: Exact | undefined): boolean {
  if (one === other) return true;
  if (one instanceof Digits) return other instanceof Digits && one.text === other.text;
  if (isListOf(one)) return isListOf(other) && one.length === other.length && one.every((item, at) => same(item, other[at]));
  if (!isObjectOf(one) || !isObjectOf(other) || one.size !== other.size) return false;
  return [...one].every(([name, item]) => other.has(name) && same(item, other.get(name)));
}

/** The first whole number that `JSON.parse` rounds, with the place where it stands; undefined if there is none. */
export function rounded(value: Exact, place: readonly string[] = []): { readonly place: readonly string[]; readonly digits: string } | undefined {
  if (value instanceof Digits) {
    const read = Number(value.text);
    const isRounded = /^-?\d+$/.test(value.text) && !(Number.isFinite(read) && BigInt(value.text) === BigInt(read));
    return isRounded ? { place, digits: value.text } : undefined;
  }
  const inner = isObjectOf(value) ? [...value] : isListOf(value) ? value.map((item, at) => [String(at), item] as const) : [];
  for (const [name, item] of inner) {
    const found = rounded(item, [...place, name]);
    if (found) return found;
  }
  return undefined;
}

/** A value as somebody types it in a field of its kind: a text as it is, all else as JSON. */
export const typed = (value: Exact): string => (typeof value === "string" ? value : write(value, 2));
