/** Undo and redo: stacks of the inverse of one's own changes, which leave alone what others did meanwhile. */

import { type Change, type Skipped, apply, followed } from "./change";
import type { GraphDoc } from "./graph";
import { type Said, equal, isObject, isSaid } from "./json";

/** One gesture. `changes` undo it, or do it again. */
export interface Step {
  readonly what: Said;
  readonly changes: readonly Change[];
  /** Gestures in a row that have the same are one: typing in a field, arrow keys. */
  readonly join?: string;
}

/** Plain data; the last step is the next. */
export interface History {
  readonly undo: readonly Step[];
  readonly redo: readonly Step[];
}

export interface State {
  readonly doc: GraphDoc;
  readonly history: History;
}

export interface Undone extends State {
  /** The gesture that was undone or done again; none if there was nothing. */
  readonly what?: Said;
  /** What of it could not be: others removed or changed what it is about. */
  readonly skipped: readonly Skipped[];
}

const MOST_STEPS = 200;
const LONGEST_TEXT = 1024 * 1024;

export const emptyHistory: History = { undo: [], redo: [] };

/** Do a gesture, as one step that can be undone. Changes that change nothing are no step. */
export function edit({ doc, history }: State, what: Said, changes: readonly Change[], join?: string): State {
  const done = apply(doc, changes);
  if (!done.inverse.length) return { doc, history };
  const last = history.undo.at(-1);
  const isJoined = join !== undefined && last?.join === join && history.redo.length === 0;
  const step: Step = {
    what: isJoined ? last.what : what,
    changes: isJoined ? compacted([...done.inverse, ...last.changes]) : done.inverse,
    ...(join === undefined ? {} : { join }),
  };
  const undo = [...(isJoined ? history.undo.slice(0, -1) : history.undo), step];
  return { doc: done.doc, history: { undo: undo.slice(-MOST_STEPS), redo: [] } };
}

export function undo(state: State): Undone {
  const { doc, done, what, skipped, rest } = back(state.doc, state.history.undo);
  return { doc, history: { undo: rest, redo: [...state.history.redo, ...done] }, skipped, ...(what ? { what } : {}) };
}

export function redo(state: State): Undone {
  const { doc, done, what, skipped, rest } = back(state.doc, state.history.redo);
  return { doc, history: { undo: [...state.history.undo, ...done], redo: rest }, skipped, ...(what ? { what } : {}) };
}

/** What is undone next, or null. */
export function canUndo(history: History): Said | null {
  return history.undo.at(-1)?.what ?? null;
}

export function canRedo(history: History): Said | null {
  return history.redo.at(-1)?.what ?? null;
}

/** End a row of gestures that would be joined: the field was left. */
export function settle(history: History): History {
  const last = history.undo.at(-1);
  if (last?.join === undefined) return history;
  return { ...history, undo: [...history.undo.slice(0, -1), { what: last.what, changes: last.changes }] };
}

/** The same history after a merge in which filters were renamed: old name → new name. */
export function follow(history: History, renames: Readonly<Record<string, string>>): History {
  if (!Object.keys(renames).length) return history;
  const name = (filter: string): string => (Object.hasOwn(renames, filter) ? (renames[filter] ?? filter) : filter);
  const steps = (stack: readonly Step[]): Step[] =>
    stack.map((step) => ({ ...step, changes: step.changes.map((each) => followed(each, name)) }));
  return { undo: steps(history.undo), redo: steps(history.redo) };
}

/** The history as text, without its oldest steps if it would be long. */
export function saveHistory({ undo, redo }: History): string {
  for (let kept = MOST_STEPS; ; kept = Math.floor(kept / 2)) {
    const text = JSON.stringify({ undo: kept ? undo.slice(-kept) : [], redo: kept ? redo.slice(-kept) : [] });
    if (text.length <= LONGEST_TEXT || !kept) return text;
  }
}

/** What {@link saveHistory} wrote; an empty history if that is not what the text is. */
export function readHistory(text: string | null): History {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return isObject(value) && isStack(value["undo"]) && isStack(value["redo"])
      ? { undo: value["undo"], redo: value["redo"] }
      : emptyHistory;
  } catch {
    return emptyHistory;
  }
}

function back(
  doc: GraphDoc,
  stack: readonly Step[],
): { doc: GraphDoc; done: readonly Step[]; what?: Said; skipped: readonly Skipped[]; rest: readonly Step[] } {
  const step = stack.at(-1);
  if (!step) return { doc, done: [], skipped: [], rest: stack };
  const applied = apply(doc, step.changes, { strict: true });
  const done = applied.inverse.length ? [{ what: step.what, changes: applied.inverse }] : [];
  return { doc: applied.doc, done, what: step.what, skipped: applied.skipped, rest: stack.slice(0, -1) };
}

/** Values set at one place are one, if nothing between them has to do with it: what was there first comes back. */
function compacted(changes: readonly Change[]): readonly Change[] {
  const found: Change[] = [];
  for (const change of changes) {
    const place = isPlaced(change)
      ? found.findLastIndex((before) => !isPlaced(before) || isWithin(before.path, change.path))
      : -1;
    const before = found[place];
    if (before && isPlaced(before) && isPlaced(change) && equal(before.path, change.path)) {
      const { was: _, ...first } = change;
      found[place] = { ...first, ...(before.was === undefined ? {} : { was: before.was }) };
    } else found.push(change);
  }
  return found;
}

/** Whether one of two paths leads on from the other. */
function isWithin(one: readonly string[], other: readonly string[]): boolean {
  return one.every((key, index) => index >= other.length || key === other[index]);
}

function isPlaced(change: Change): change is Change & { do: "set" | "unset" } {
  return change.do === "set" || change.do === "unset";
}

function isStack(value: unknown): value is readonly Step[] {
  return (
    Array.isArray(value) &&
    value.every(
      (step) => isObject(step) && isSaid(step["what"]) && Array.isArray(step["changes"]) && step["changes"].every(isChange),
    )
  );
}

function isChange(value: unknown): value is Change {
  if (!isObject(value)) return false;
  const { do: kind } = value;
  if (kind === "set" || kind === "unset")
    return Array.isArray(value["path"]) && value["path"].every((key) => typeof key === "string");
  if (kind === "rename") return typeof value["from"] === "string" && typeof value["to"] === "string";
  if (kind === "wire" || kind === "unwire")
    return Array.isArray(value["wire"]) && value["wire"].length === 2 && value["wire"].every((end) => typeof end === "string");
  if (kind === "include" || kind === "exclude")
    return (value["key"] === "routes" || value["key"] === "inherit") && typeof value["value"] === "string";
  return kind === "test"
    ? typeof value["name"] === "string" && isObject(value["test"])
    : kind === "untest" && typeof value["name"] === "string";
}
