/** Drafts of graphs, and what is live of them. */

import { ApiError, type Fault, ask, get, path, query } from "./http";
import { read, rounded } from "../model/exact";
import type { JsonObject } from "../model/json";
import { t } from "../texts";

/** A draft as the node keeps it. */
export interface DraftAnswer {
  readonly name: string;
  readonly graph: unknown;
  /** The live version it began from, 0 for none. */
  readonly base: number;
  /** The live version now. */
  readonly live: number;
  /** Greater with each change of it; its entity tag. */
  readonly counter: number;
  readonly by: string;
  readonly time: string;
  readonly errors: readonly { readonly path: string; readonly message: string; readonly code: string }[];
}

export interface LiveAnswer {
  readonly version: number;
  readonly graph: unknown;
}

/** What there is, or null if there is none. */
async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/**
 * As `get`, of an answer with a graph that will be saved again. Throws for a number of more digits than a browser keeps: it would be
 * saved as another one.
 */
async function getToSave<T extends { readonly graph: unknown }>(address: string): Promise<T> {
  const text = await get<string>(address, { isUnasked: true, asText: true });
  const found = rounded(read(text));
  if (found) throw new Error(t.compose.tooManyDigits(found.place.slice(1).join("."), found.digits));
  return JSON.parse(text) as T;
}

/** As many as a node gives in one answer. */
const PAGE = 1000;

/** Whether a list names a graph. Asking for one that is not there would be an error in the console of the browser. */
export async function isListed(list: "drafts" | "graphs", graph: string): Promise<boolean> {
  const found = await get<readonly { readonly name: string }[]>(`${list}${query({ limit: PAGE })}`, { isUnasked: true });
  return found.length >= PAGE || found.some(({ name }) => name === graph);
}

const of = (graph: string) => `${path("graphs", graph)}/draft`;
const matching = (counter: number) => ({ "if-match": `"${counter}"` });

export const readDraft = async (graph: string): Promise<DraftAnswer | null> =>
  (await isListed("drafts", graph)) ? orNull(getToSave<DraftAnswer>(of(graph))) : null;

export const readLive = async (graph: string): Promise<LiveAnswer | null> =>
  (await isListed("graphs", graph)) ? orNull(getToSave<LiveAnswer>(path("graphs", graph))) : null;

export const readVersion = (graph: string, version: number): Promise<LiveAnswer | null> =>
  orNull(getToSave<LiveAnswer>(path("graphs", graph, "versions", String(version))));

/** Save a whole draft in place of the one with this counter; null: there is none yet. */
export async function saveDraft(graph: string, document: JsonObject, base: number, counter: number | null): Promise<DraftAnswer> {
  const headers = counter === null ? { "if-none-match": "*" } : matching(counter);
  return (await ask<DraftAnswer>("PUT", of(graph), { body: { graph: document, base }, headers })).body;
}

export async function discardDraft(graph: string, counter: number): Promise<void> {
  await ask("DELETE", of(graph), { headers: matching(counter) });
}

export async function deployDraft(graph: string, counter: number, note: string): Promise<LiveAnswer> {
  return (await ask<LiveAnswer>("POST", `${path("graphs", graph)}/deploy${query({ note })}`, { headers: matching(counter) })).body;
}

export const faultsOf = (draft: DraftAnswer): readonly Fault[] => draft.errors.map(({ path: where, message, code }) => ({ where, message, code }));

/** The draft that stands in the way of a request, null if it is gone; undefined: that is not the reason. */
export function inTheWay(error: unknown): DraftAnswer | null | undefined {
  if (!(error instanceof ApiError) || error.status !== 412) return undefined;
  return error.code === "draft.gone" ? null : ((error.body as { draft?: DraftAnswer }).draft ?? null);
}

/** Whether a request may succeed by itself when it is sent again. */
export const isPassing = (error: unknown): boolean => error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
