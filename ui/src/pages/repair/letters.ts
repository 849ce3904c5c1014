/** Dead letters as the node tells of them. */

import { ask, get, path, query } from "../../api/http";
import { type Exact, isObjectOf, read, write } from "../../model/exact";
import { formOf, type PacketParts, partsOf } from "../../model/packet";
import type { Place } from "../../router";

export const CRITERIA = ["graph", "filter", "code", "receipt", "id", "file", "route", "since"] as const;
export type Criterion = (typeof CRITERIA)[number];
/** Those of a search, and `until`, which keeps out what comes after a count. */
export type Criteria = Readonly<Partial<Record<Criterion | "until", string>>>;

export interface Letter {
  readonly id: string;
  readonly graph: string;
  readonly version: number | null;
  readonly filter: string;
  readonly component: string;
  readonly code: string;
  readonly error: string;
  readonly attempts: number;
  readonly receipt: string;
  readonly time: string;
  readonly document: { readonly index: number | null; readonly id: string | null; readonly file: string | null; readonly route: string | null };
  readonly failures?: number;
  readonly documents?: number;
}

export interface Delivery {
  readonly content_type: string;
  readonly encoding: string;
  readonly bytes: number;
  readonly body: string | null;
  readonly base64?: boolean;
}

export interface WholeLetter extends Letter {
  readonly traceback: string;
  readonly delivery?: Delivery | null;
  readonly edited?: boolean;
  /** The packet, exactly as the node has it; undefined where there never was one. */
  readonly packet: PacketParts | undefined;
}

export interface Posted {
  readonly index: number;
  readonly id: string | null;
  readonly file: string | null;
  readonly content_type: string;
  readonly bytes: number;
  readonly start: string;
  readonly reason: string;
  readonly packet: PacketParts | undefined;
}

export interface Group {
  readonly graph: string;
  readonly filter: string;
  readonly code: string;
  readonly count: number;
  readonly failures: number;
  readonly latest: string;
  /** Counts of the last hour, one a minute. */
  readonly history?: readonly number[];
}

export interface Replayed {
  readonly count: number;
  readonly receipts: readonly string[];
  readonly refused?: readonly { readonly id: string; readonly code: string; readonly detail: string }[];
  readonly edits_forgotten?: number;
}

export function criteriaOf({ params }: Place): Criteria {
  const given = CRITERIA.map((name) => [name, params.get(name) ?? ""] as const).filter(([, value]) => value);
  return Object.fromEntries(given);
}

/** Criteria that a group of letters has in common; nothing can ask for failures before the first filter only. */
export function criteriaOfGroup({ graph, filter, code }: Pick<Group, "graph" | "filter" | "code">): Criteria {
  return { graph, ...(filter ? { filter } : {}), code };
}

export const listAddress = (criteria: Criteria, options: Readonly<Record<string, string | number | undefined>> = {}): string =>
  `deadletters${query({ ...criteria, ...options })}`;

export const groupsOf = async (criteria: Criteria): Promise<readonly Group[]> =>
  (await get<{ groups: readonly Group[] }>(listAddress(criteria, { group: "code" }))).groups;

/** The criteria with the present moment of the node as their end: what is counted by them stays what is counted. */
export async function untilNow(criteria: Criteria): Promise<Criteria> {
  const { history } = await get<{ history: { until: string } }>(listAddress(criteria, { group: "code", history: 60 }));
  return { ...criteria, until: history.until };
}

export const countOf = (groups: readonly Group[]): number => groups.reduce((sum, group) => sum + group.count, 0);

/** An answer with a packet in it, of which no digit is lost. */
function withPacket<T>(text: string): T & { packet: PacketParts | undefined } {
  const whole = read(text);
  const packet = isObjectOf(whole) ? whole.get("packet") : undefined;
  return { ...(JSON.parse(text) as T), packet: isObjectOf(packet) ? partsOf(packet) : undefined };
}

export const letterAt = async (id: string, signal?: AbortSignal): Promise<WholeLetter> =>
  withPacket<WholeLetter>(await get<string>(path("deadletters", id), { asText: true, ...(signal && { signal }) }));

export const postedAt = async (id: string, signal?: AbortSignal): Promise<Posted> =>
  withPacket<Posted>(await get<string>(path("deadletters", id, "posted"), { asText: true, ...(signal && { signal }) }));

/** Give a letter another packet; returns it as it is then. */
export async function putPacket(id: string, packet: PacketParts): Promise<WholeLetter> {
  const body = write(new Map<string, Exact>([["packet", formOf(packet)]]));
  return withPacket<WholeLetter>((await ask<string>("PUT", path("deadletters", id), { body, asText: true })).body);
}

/** Whether a search finds a letter, or all letters of a group, as far as they tell: not for how long. */
export function finds(criteria: Criteria, { graph, filter, code, ...others }: Pick<Letter, "graph" | "filter" | "code"> & Partial<Letter>): boolean {
  const known: Criteria = { graph, filter, code, ...(others.receipt !== undefined && { receipt: others.receipt }) };
  const { id, file, route } = others.document ?? {};
  const all: Readonly<Record<string, string | null | undefined>> = { ...known, id, file, route };
  return Object.entries(criteria).every(([name, value]) => name === "since" || name === "until" || all[name] === value);
}

/** What people know a document by. */
export function nameOf({ document }: Letter, at: (index: number) => string, whole: string): string {
  return document.file ?? document.id ?? (document.index === null ? whole : at(document.index));
}
