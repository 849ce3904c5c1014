/** Values of JSON, and what all of the model says of them. */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** What is to be told to people: the key of a text, and what is put into it. */
export interface Said {
  readonly key: string;
  readonly params: Readonly<Record<string, string | number>>;
}

export function said(key: string, params: Said["params"] = {}): Said {
  return { key, params };
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isSaid(value: unknown): value is Said {
  return isObject(value) && typeof value["key"] === "string" && isObject(value["params"]);
}

/** The value of an own key; of `constructor` and the like, which every object has, nothing. */
export function own<T>(of: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(of, key) ? of[key] : undefined;
}

/** Whether two values are the same, whatever the order of keys; what is missing differs from null. */
export function equal(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, index) => equal(item, other[index]));
  }
  if (!isObject(one) || !isObject(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length && keys.every((key) => Object.hasOwn(other, key) && equal(one[key], other[key]))
  );
}

/** An object with one key set, where it stood or at the end. A key `__proto__` is a key like any other. */
export function withKey<T>(of: Readonly<Record<string, T>>, key: string, value: T): Record<string, T> {
  const entries = Object.entries(of).map(([name, item]) => [name, name === key ? value : item] as const);
  return Object.fromEntries(Object.hasOwn(of, key) ? entries : [...entries, [key, value]]);
}

/** An object without one key. */
export function without<T>(of: Readonly<Record<string, T>>, key: string): Record<string, T> {
  return Object.fromEntries(Object.entries(of).filter(([name]) => name !== key));
}

/** An object with other keys; those for which `rename` gives the same one meet, the last one stays. */
export function renamed<T>(of: Readonly<Record<string, T>>, rename: (key: string) => string): Record<string, T> {
  return Object.fromEntries(Object.entries(of).map(([key, value]) => [rename(key), value]));
}

/** Texts in an order that is the same in every browser, numbers within them by their value: out2 before out10. */
export function byName(one: string, other: string): number {
  const [these, those] = [one.match(/\d+|\D+/g) ?? [], other.match(/\d+|\D+/g) ?? []];
  for (let index = 0; index < Math.min(these.length, those.length); index++) {
    const [a, b] = [these[index] ?? "", those[index] ?? ""];
    if (a === b) continue;
    const difference = Number(a) - Number(b);
    return Number.isNaN(difference) || difference === 0 ? (a < b ? -1 : 1) : difference;
  }
  return these.length - those.length;
}
