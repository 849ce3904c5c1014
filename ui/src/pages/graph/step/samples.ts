/** Samples: what is sent through a graph to see what becomes of it. */

import { get, path, query } from "../../../api/http";
import { type Json, type JsonObject, isObject } from "../../../model/json";
import { t } from "../../../texts";

export interface Sample {
  /** What it is called where it was chosen. */
  readonly label: string;
  /** The parts of a dry run that say what is posted. */
  readonly post: JsonObject;
}

/** The keys of the post of a test that a dry run takes, too. */
const KEYS: readonly string[] = ["content_type", "body", "route", "id", "filename", "encoding", "packet", "at"];

export const TYPES: readonly string[] = ["application/json", "text/plain", "text/html", "text/csv", "application/xml", "application/x-ndjson"];

/** Files up to this size are read; the node takes no dry run that is much larger. */
export const MOST_BYTES = 8 << 20;

export function pasted(text: string, contentType: string, at: string): Sample {
  return { label: t.step.pasted, post: { content_type: contentType, body: text, ...(at ? { at } : {}) } };
}

/** A file as it is: its bytes, its name, and its type as far as the browser knows it. */
export async function uploaded(file: File, at: string): Promise<Sample> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let from = 0; from < bytes.length; from += 0x8000) text += String.fromCharCode(...bytes.subarray(from, from + 0x8000));
  const post = { content_type: file.type || "application/octet-stream", body: { base64: btoa(text) }, filename: file.name, ...(at ? { at } : {}) };
  return { label: file.name, post };
}

/** The posts of the tests of a graph. */
export function recorded(tests: readonly JsonObject[]): readonly Sample[] {
  return tests.flatMap((test) => {
    const posts = Array.isArray(test["post"]) ? (test["post"] as readonly Json[]) : [test["post"] ?? null];
    const name = String(test["name"] ?? "");
    return posts.flatMap((post, at): Sample[] => {
      if (!isObject(post)) return [];
      const kept = Object.fromEntries(Object.entries(post).filter(([key]) => KEYS.includes(key)));
      return [{ label: posts.length > 1 ? t.step.partOf(name, at + 1, posts.length) : name, post: kept }];
    });
  });
}

interface Tapped {
  readonly packets: readonly { readonly time: string; readonly packet: JsonObject }[];
}

/** The next packets on a wire, `a.out-b.in`, as they come within some seconds. */
export async function tapped(graph: string, wire: readonly [string, string], signal: AbortSignal): Promise<readonly Sample[]> {
  const name = `${wire[0]}-${wire[1]}`;
  const { packets } = await get<Tapped>(`${path("graphs", graph)}/taps${query({ wire: name, n: 20, wait: 10 })}`, { signal });
  return packets.map(({ packet }) => ({ label: summary(packet), post: { packet: plain(packet), at: wire[1] } }));
}

/** A packet without what is told of it where it is shown. */
function plain({ fields, meta, field_meta }: JsonObject): JsonObject {
  return { fields: fields ?? {}, meta: meta ?? {}, field_meta: field_meta ?? {} };
}

export interface Letter {
  readonly id: string;
  readonly filter: string;
  readonly code: string;
  readonly error: string;
  readonly time: string;
}

export const deadLettered = ({ id, filter, error }: Letter): Sample => ({ label: `${filter}: ${error}`, post: { letter: id } });

/** A packet in a few words: its first texts. */
export function summary(form: unknown): string {
  const fields = isObject(form) && isObject(form["fields"]) ? form["fields"] : {};
  const words = Object.entries(fields).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const text = words.join(", ").replace(/\s+/g, " ");
  return text.length > 80 ? `${text.slice(0, 80)}…` : text || t.step.noFields;
}

/** A name for the test that is made of a sample. */
export function testNameOf(sample: Sample): string {
  const { body, packet, filename } = sample.post;
  if (typeof filename === "string") return filename;
  let value: unknown = packet !== undefined && isObject(packet) ? packet["fields"] : body;
  if (typeof value === "string")
    try {
      value = JSON.parse(value);
    } catch {
      // a text as it is
    }
  const first = (of: unknown): string | undefined =>
    typeof of === "string" || typeof of === "number" ? String(of) : Array.isArray(of) ? first(of[0]) : isObject(of) ? Object.values(of).map(first).find((each) => each) : undefined;
  return (first(value) ?? sample.label).replace(/\s+/g, " ").trim().slice(0, 60) || sample.label;
}
