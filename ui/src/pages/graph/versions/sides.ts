/** What can be compared: versions by their number, what is live, the draft, and the file in the folder of graphs. */

import { useEffect, useMemo } from "react";
import type { DraftAnswer } from "../../../api/drafts";
import { listen } from "../../../api/events";
import { path, query } from "../../../api/http";
import { type GraphDoc, emptyGraph, readGraph } from "../../../model/graph";
import { t } from "../../../texts";
import { type Loaded, useMaybe } from "../answers";
import type { LiveGraph } from "../state";

/** `live`, `draft`, `file`, or the number of a version. */
export type Side = string;

/** One version in the history. */
export interface Version {
  readonly version: number;
  readonly time: string;
  readonly by: string;
  readonly note: string;
  readonly state: "live" | "retired" | "failed";
  readonly error?: string;
  readonly other_code?: readonly string[];
}

/** The history, the newest version first, as many as are wanted. */
export function useHistory(name: string, limit: number): Loaded<readonly Version[]> {
  const found = useMaybe<readonly Version[]>(`${path("graphs", name)}/versions${query({ limit })}`);
  const { again } = found;
  useEffect(() => listen(["deployment"], again, name), [again, name]);
  return found;
}

export interface SideState {
  readonly doc: GraphDoc | undefined;
  readonly error: unknown;
}

/** The graph of one side. Without a live version, that is the empty graph. */
export function useSide(name: string, side: Side, live: LiveGraph | undefined, liveDoc: GraphDoc | undefined, draft: Loaded<DraftAnswer>): SideState {
  const isNumber = /^\d+$/.test(side);
  const version = useMaybe<{ readonly graph: unknown }>(isNumber ? path("graphs", name, "versions", side) : undefined);
  const file = useMaybe<unknown>(side === "file" ? `${path("graphs", name)}/file${query({ of: "folder" })}` : undefined);
  const { again } = file;
  const known = JSON.stringify(live?.file);
  useEffect(again, [again, known]);
  const graph = side === "draft" ? draft.value?.graph : isNumber ? version.value?.graph : file.value;
  const doc = useMemo(() => (graph === undefined || graph === null ? undefined : readGraph(graph).doc), [graph]);
  const empty = useMemo(() => emptyGraph(name), [name]);
  if (side === "live") return { doc: liveDoc ?? empty, error: undefined };
  const from = side === "draft" ? draft : isNumber ? version : file;
  if (from.value === null) return { doc: undefined, error: new Error(t.versions.missing(nameOf(side))) };
  return { doc, error: from.error };
}

/** A side in words. */
export function nameOf(side: Side, live?: number): string {
  if (side === "live") return live ? t.versions.liveVersion(live) : t.versions.nothingLive;
  if (side === "draft") return t.versions.draft;
  if (side === "file") return t.versions.file;
  return t.versions.version(Number(side));
}

/** Drafts call the filters that they took over by the names that these had: so that one that was renamed is the same. */
export function withNames(doc: GraphDoc): GraphDoc {
  return { ...doc, nodes: Object.fromEntries(Object.entries(doc.nodes).map(([name, node]) => [name, node.uid === undefined ? { ...node, uid: name } : node])) };
}
