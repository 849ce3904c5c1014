/** Packets in their JSON form, as people look at them and mend them. */

import { type Exact, type ExactObject, isListOf, isObjectOf, same } from "./exact";

export interface PacketParts {
  readonly fields: ExactObject;
  readonly meta: ExactObject;
  readonly fieldMeta: ExactObject;
}

/** In place of a value that nobody is shown. Sent back, it stays as it was. */
export const HIDDEN = "(hidden)";
/** The metadata of a field in which the JSON form says what JSON has no words for. */
const MARK = "pypes";
const NONE: ExactObject = new Map();

const partOf = (of: Exact | undefined, name: string): ExactObject => {
  const part = isObjectOf(of) ? of.get(name) : undefined;
  return isObjectOf(part) ? part : NONE;
};

export function partsOf(form: Exact | undefined): PacketParts {
  return { fields: partOf(form, "fields"), meta: partOf(form, "meta"), fieldMeta: partOf(form, "field_meta") };
}

export function formOf(parts: PacketParts): ExactObject {
  return new Map([
    ["fields", parts.fields],
    ["meta", parts.meta],
    ["field_meta", parts.fieldMeta],
  ]);
}

export const isHidden = (value: Exact | undefined): boolean => value === HIDDEN;

/** Whether the whole value of a field is binary, and its text base64. */
export function isBinary(parts: PacketParts, field: string): boolean {
  return partOf(partOf(parts.fieldMeta, field), MARK).get("base64") === true;
}

/** Another value for a field, where it stood or at the end. What was said of binary values in it is true of it no longer. */
export function withField(parts: PacketParts, field: string, value: Exact): PacketParts {
  const fields = new Map(parts.fields).set(field, value);
  const keepsMark = isBinary(parts, field) ? typeof value === "string" : isListOf(value) && isListOf(parts.fields.get(field));
  return { ...parts, fields, fieldMeta: keepsMark ? parts.fieldMeta : withoutMark(parts.fieldMeta, field) };
}

export function withoutField(parts: PacketParts, field: string): PacketParts {
  const [fields, fieldMeta] = [new Map(parts.fields), new Map(parts.fieldMeta)];
  fields.delete(field);
  // metadata of a field that is not there would be refused
  fieldMeta.delete(field);
  return { ...parts, fields, fieldMeta };
}

export function withMeta(parts: PacketParts, name: string, value: Exact): PacketParts {
  return { ...parts, meta: new Map(parts.meta).set(name, value) };
}

function withoutMark(fieldMeta: ExactObject, field: string): ExactObject {
  const metas = fieldMeta.get(field);
  if (!isObjectOf(metas) || !metas.has(MARK)) return fieldMeta;
  const others = new Map(metas);
  others.delete(MARK);
  const left = new Map(fieldMeta);
  if (others.size) left.set(field, others);
  else left.delete(field);
  return left;
}

/** What became of one name. */
export interface Change {
  readonly name: string;
  readonly kind: "added" | "removed" | "changed" | "same";
  readonly before: Exact | undefined;
  readonly after: Exact | undefined;
}

/** The names of two objects and what became of each: those of the first in their order, then new ones. */
export function changes(before: ExactObject, after: ExactObject): readonly Change[] {
  return [...new Set([...before.keys(), ...after.keys()])].map((name) => {
    const [was, is] = [before.get(name), after.get(name)];
    const kind = was === undefined ? "added" : is === undefined ? "removed" : same(was, is) ? "same" : "changed";
    return { name, kind, before: was, after: is };
  });
}
