/** Runs of the draft on copies of live documents, and what they found. */

import { ask, path } from "../../../api/http";
import { toFile, type GraphDoc } from "../../../model/graph";
import type { Json } from "../../../model/json";

export interface ShadowReport {
  readonly shadow: string;
  /** The live version that the draft is compared with. */
  readonly version: number;
  readonly state: "starting" | "running" | "done" | "ended";
  readonly incomplete: boolean;
  readonly error: { readonly code: string; readonly message: string; readonly where: string } | null;
  readonly started: string;
  readonly wanted: number;
  readonly documents: number;
  readonly missed: number;
  readonly different?: number;
  readonly publishers?: Readonly<Record<string, { readonly missing: number; readonly added: number; readonly changed: number; readonly fields: Readonly<Record<string, number>> }>>;
  /** Documents that ended otherwise: `published`, `dropped`, `failed in FILTER (CODE)`. */
  readonly fates?: readonly { readonly live: string; readonly candidate: string; readonly documents: number }[];
  readonly filters?: Readonly<Record<string, { readonly live_ms?: number; readonly candidate_ms?: number }>>;
  readonly examples?: readonly Example[];
}

export interface Example {
  readonly receipt: string;
  readonly document: number;
  readonly what: "fate" | "changed" | "missing" | "added";
  readonly publisher?: string;
  /** Of packets that differ: the values of the live version and of the draft. */
  readonly fields?: Readonly<Record<string, readonly [Json, Json]>>;
  readonly packet?: { readonly fields?: Readonly<Record<string, Json>> };
  readonly live?: { readonly fate: string; readonly failures?: readonly { readonly error?: string }[] };
  readonly candidate?: { readonly fate: string; readonly failures?: readonly { readonly error?: string }[] };
}

export interface Sums {
  readonly same: number;
  readonly different: number;
  /** Those that failed with the draft, and not with what is live. */
  readonly failed: number;
}

export function sumsOf({ documents, different = 0, fates = [] }: ShadowReport): Sums {
  const worse = fates.filter(({ live, candidate }) => candidate.startsWith("failed") && !live.startsWith("failed"));
  const failed = Math.min(worse.reduce((sum, each) => sum + each.documents, 0), different);
  return { same: documents - different, different: different - failed, failed };
}

export const isOver = (report: ShadowReport): boolean => report.state === "done" || report.state === "ended";

export async function startShadow(name: string, draft: GraphDoc, documents: number): Promise<string> {
  const { body } = await ask<{ readonly shadow: string }>("POST", `${path("graphs", name)}/shadow`, { body: { graph: toFile(draft), documents } });
  return body.shadow;
}

export async function endShadow(name: string, id: string): Promise<void> {
  await ask("DELETE", path("graphs", name, "shadow", id));
}

const keptAt = (name: string): string => `pypes.shadow.${name}`;

/** The last one that was started in this tab. */
export const lastShadow = (name: string): string | undefined => sessionStorage.getItem(keptAt(name)) ?? undefined;

export function keepShadow(name: string, id: string | null): void {
  if (id === null) sessionStorage.removeItem(keptAt(name));
  else sessionStorage.setItem(keptAt(name), id);
}
