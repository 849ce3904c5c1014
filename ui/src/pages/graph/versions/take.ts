/** The file in the folder of graphs as the draft. What a draft has besides stays, unless both changed the same. */

import { type DraftAnswer, discardDraft, readDraft, saveDraft } from "../../../api/drafts";
import { get, path, query } from "../../../api/http";
import { emptyGraph, type GraphDoc, readGraph, toFile } from "../../../model/graph";
import { merge } from "../../../model/merge";
import { notify } from "../../../parts/Notices";
import { messageOf } from "../../../parts/Problem";
import { t } from "../../../texts";
import { withNames } from "./sides";

/** Put it back as it was before. */
async function back(name: string, before: DraftAnswer | null, counter: number): Promise<void> {
  if (before) await saveDraft(name, before.graph as Parameters<typeof saveDraft>[1], before.base, counter);
  else await discardDraft(name, counter);
}

export async function takeFile(name: string, live: number, liveDoc: GraphDoc | undefined): Promise<void> {
  const [file, draft] = await Promise.all([get<unknown>(`${path("graphs", name)}/file${query({ of: "folder" })}`), readDraft(name)]);
  const theirs = readGraph(file).doc;
  const base = withNames(liveDoc ?? emptyGraph(name));
  const { doc, conflicts } = draft && draft.base === live ? merge(base, withNames(theirs), withNames(readGraph(draft.graph).doc)) : { doc: theirs, conflicts: [] };
  const saved = await saveDraft(name, toFile(doc), live, draft?.counter ?? null);
  const undo = () => void back(name, draft, saved.counter).catch((error: unknown) => notify({ text: messageOf(error), kind: "bad" }));
  notify({ text: [t.versions.taken, ...(conflicts.length ? [t.versions.takenOver(conflicts.length)] : [])].join(" "), kind: "ok", action: { name: t.parts.undo, run: undo }, staysMs: 12_000 });
}
