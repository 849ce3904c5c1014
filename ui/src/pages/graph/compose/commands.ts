/** Everything that can be done while composing, as commands with shortcuts. */

import type { Command } from "../../../commands/commands";
import { isComposite } from "../../../model/composites";
import { canRedo, canUndo } from "../../../model/history";
import { own } from "../../../model/json";
import { notify } from "../../../parts/Notices";
import { messageOf } from "../../../parts/Problem";
import { t } from "../../../texts";
import { say } from "./words";
import type { DraftState } from "./draft";
import { type Edge, type Editing } from "./Editing";

export interface Surroundings {
  readonly state: DraftState;
  readonly refused: string | undefined;
  readonly search: () => void;
  readonly connect: () => void;
  readonly openProblems: () => void;
  readonly openDeploy: () => void;
  readonly openDiscard: () => void;
  readonly rename: () => void;
  readonly makeComposite: () => void;
  /** Why no composite can be made here. */
  readonly mayNotCompose: string | undefined;
}

const EDGES: readonly Edge[] = ["left", "right", "top", "bottom", "row", "column"];

async function write(text: string | null): Promise<void> {
  if (text === null) return;
  try {
    await navigator.clipboard.writeText(text);
    notify({ text: t.compose.copied });
  } catch (error) {
    notify({ text: messageOf(error), kind: "bad" });
  }
}

async function pasteFrom(editing: Editing): Promise<void> {
  try {
    editing.paste(await navigator.clipboard.readText());
  } catch {
    notify({ text: t.compose.pasteByKeys });
  }
}

/** Why the draft cannot be deployed now. */
export function whyNotDeploy(state: DraftState, refused: string | undefined): string | undefined {
  if (refused !== undefined) return refused;
  if (state.conflicts.length) return t.compose.conflictsFirst;
  if (state.saving.kind === "refused" || state.saving.kind === "waiting") return t.compose.notSaved(state.saving.why);
  if (state.saving.kind === "saved" && state.counter === null) return t.compose.nothingToDeploy;
  return state.faults.length && state.saving.kind === "saved" ? t.compose.problemsFirst : undefined;
}

export function commandsOf(editing: Editing, { state, refused, ...to }: Surroundings): readonly Command[] {
  const { filters, comments } = editing.chosen;
  const none = refused ?? (filters.length + comments.length ? undefined : t.compose.chooseFirst);
  const one = refused ?? (filters.length === 1 ? undefined : t.compose.chooseOne);
  const two = refused ?? (filters.length > 1 ? undefined : t.compose.chooseTwo);
  const [back, forth] = [canUndo(state.history), canRedo(state.history)];
  const { draft } = editing;
  return [
    { id: "undo", name: back ? t.compose.undoOf(say(back)) : t.compose.undo, keys: "Mod+Z", refused: refused ?? (back ? undefined : t.compose.nothingToUndo), run: draft.undo },
    { id: "redo", name: forth ? t.compose.redoOf(say(forth)) : t.compose.redo, keys: "Mod+Shift+Z", refused: refused ?? (forth ? undefined : t.compose.nothingToRedo), run: draft.redo },
    { id: "redo-y", name: t.compose.redo, keys: "Mod+Y", refused: refused ?? (forth ? undefined : t.compose.nothingToRedo), run: draft.redo },
    { id: "search-components", name: t.compose.searchComponents, keys: "/", run: to.search },
    { id: "connect", name: t.compose.connect, keys: "C", refused: one, run: to.connect },
    { id: "rename", name: t.compose.rename, keys: "F2", refused: one, run: to.rename },
    { id: "duplicate", name: t.compose.duplicate, keys: "Mod+D", refused: none, run: () => editing.duplicate() },
    { id: "copy", name: t.compose.copy, refused: none, run: () => void write(editing.copied()) },
    { id: "cut", name: t.compose.cut, refused: none, run: () => void write(editing.cut()) },
    { id: "paste", name: t.compose.paste, refused, run: () => void pasteFrom(editing) },
    { id: "all", name: t.compose.chooseAll, keys: "Mod+A", run: () => draft.select(new Set(Object.keys(state.doc.nodes))) },
    { id: "nothing", name: t.compose.chooseNothing, keys: "Escape", refused: state.selected.size ? undefined : t.compose.chooseFirst, run: () => draft.select(new Set()) },
    { id: "remove", name: t.compose.remove, refused: refused ?? (state.selected.size ? undefined : t.compose.chooseFirst), run: () => editing.remove() },
    { id: "heal", name: t.compose.heal, keys: "Shift+Delete", refused: one, run: () => editing.heal() },
    { id: "make-composite", name: t.compose.makeComposite, keys: "Mod+G", refused: refused ?? to.mayNotCompose ?? (filters.length ? undefined : t.compose.chooseFirst), run: to.makeComposite },
    { id: "take-apart", name: t.compose.takeApart, keys: "Mod+Shift+G", refused: one ?? (isComposite(editing.specs, own(editing.doc.nodes, filters[0] ?? "")) ? undefined : t.compose.noComposite), run: () => void editing.takeApart() },
    { id: "tidy", name: t.compose.tidy, keys: "T", refused, run: () => editing.tidy() },
    ...EDGES.map((edge): Command => ({ id: `align-${edge}`, name: t.compose.align[edge], refused: two, run: () => editing.align(edge) })),
    { id: "comment", name: t.compose.addComment, keys: "Shift+C", refused, run: () => editing.addComment() },
    { id: "problems", name: t.compose.problems, keys: "P", run: to.openProblems },
    { id: "deploy", name: t.compose.deploy, keys: "Mod+Enter", refused: whyNotDeploy(state, refused), run: to.openDeploy },
    { id: "discard", name: t.compose.discard, refused: refused ?? (state.counter === null ? t.compose.noDraft : undefined), run: to.openDiscard },
  ];
}
