/**
 * The draft of a graph while it is edited here: gestures, undo, and keeping up with the node and with others who edit it.
 *
 * `saved` is what the node had last, as far as is known here: the ancestor of every merge. All requests go one after the other.
 */

import { type DraftAnswer, discardDraft, faultsOf, inTheWay, isPassing, readDraft, readLive, readVersion, saveDraft } from "../../../api/drafts";
import { listen, watchLine } from "../../../api/events";
import type { Fault } from "../../../api/http";
import type { Change } from "../../../model/change";
import { type GraphDoc, emptyGraph, readGraph, toFile } from "../../../model/graph";
import { type History, edit, emptyHistory, follow, redo, settle, undo } from "../../../model/history";
import { type Said, equal, own } from "../../../model/json";
import { type Conflict, type Side, merge, resolve } from "../../../model/merge";
import { notify } from "../../../parts/Notices";
import { messageOf } from "../../../parts/Problem";
import { t } from "../../../texts";
import { say } from "./words";
import { adopted, asSent, withUids } from "./adopted";
import { keep, readKept } from "./kept";

/** Whether the node has what is here, and otherwise why not. */
export type Saving = { readonly kind: "saved" | "saving" } | { readonly kind: "waiting" | "refused"; readonly why: string };

export interface DraftState {
  readonly doc: GraphDoc;
  readonly history: History;
  readonly selected: ReadonlySet<string>;
  readonly saved: GraphDoc;
  /** Of the draft that the node has; null: it has none, and `saved` is what is live. */
  readonly counter: number | null;
  /** The live version that the draft is made of, 0 for none. */
  readonly base: number;
  readonly faults: readonly Fault[];
  /** The graph to which the faults belong. */
  readonly checked: GraphDoc;
  readonly saving: Saving;
  readonly conflicts: readonly Conflict[];
}

/** Rest after a gesture before it is saved, in milliseconds. */
const REST_MS = 600;
/** Waits before a request is sent again that found nobody, the last one from then on. */
const AGAIN_MS = [500, 1000, 2000, 5000];
const KEEP_MS = 200;

export class Draft {
  #state: DraftState | null = null;
  #error: unknown;
  readonly #listeners = new Set<() => void>();
  /** Requests wait for each other. */
  #queue: Promise<void> = Promise.resolve();
  #users = 0;
  #failures = 0;
  #saveTimer = 0;
  #keepTimer = 0;
  #heard = 0;
  #isHeld = false;
  #stopListening = () => {};

  constructor(
    readonly graph: string,
    readonly mayEdit: boolean,
  ) {}

  get state(): DraftState | null {
    return this.#state;
  }

  /** Why it could not be read. */
  get error(): unknown {
    return this.#error;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Keep up with the node until the function that is returned is called. */
  open = (): (() => void) => {
    if (this.#users++ === 0) {
      this.#stopListening = listen(["draft", "deployment"], ({ kind, data }) => this.#hear(kind, data), this.graph);
      addEventListener("pagehide", this.leave);
      let wasAway = false;
      const stopWatching = watchLine((line) => {
        // what was told meanwhile is not told again
        if (line === "open" && wasAway) this.reload();
        wasAway = line === "away" || (wasAway && line !== "open");
      });
      const stop = this.#stopListening;
      this.#stopListening = () => (stop(), stopWatching());
      this.reload();
    }
    return () => {
      if (--this.#users > 0) return;
      this.#stopListening();
      removeEventListener("pagehide", this.leave);
      this.leave();
      void this.flush();
    };
  };

  reload = (): void => void this.#inTurn(this.#load);

  // -- gestures ------------------------------------------------------------------------------------------

  /** Do a gesture as one step to undo; false: it changed nothing. */
  do(what: Said, changes: readonly Change[], join?: string): boolean {
    const state = this.#state;
    if (!state || !this.mayEdit) return false;
    const next = edit(state, what, changes, join);
    if (next.doc === state.doc) return false;
    this.#set({ ...next, saving: { kind: "saving" } });
    this.#saveSoon();
    return true;
  }

  undo = (): void => this.#back(undo, t.compose.undone, t.compose.nothingToUndo);
  redo = (): void => this.#back(redo, t.compose.redone, t.compose.nothingToRedo);

  #back(step: typeof undo, says: (what: string) => string, nothing: string): void {
    const state = this.#state;
    if (!state || !this.mayEdit) return;
    const { doc, history, what, skipped } = step(state);
    if (!what) return void notify({ text: nothing });
    this.#set({ doc, history, saving: { kind: "saving" } });
    this.#saveSoon();
    const left = skipped.map(({ why }) => say(why));
    notify({ text: [says(say(what)), ...(left.length ? [t.compose.skipped(left.join(" "))] : [])].join(" "), staysMs: left.length ? 12_000 : 2500 });
  }

  /** What is typed from now on is another step. */
  settle = (): void => {
    if (this.#state) this.#set({ history: settle(this.#state.history) });
  };

  select = (selected: ReadonlySet<string>): void => this.#set({ selected });

  resolve(conflict: Conflict, side: Side): void {
    const state = this.#state;
    if (!state) return;
    this.#set({ conflicts: state.conflicts.filter((each) => each !== conflict) });
    if (side === "mine") this.do({ key: "gesture.mine", params: {} }, resolve(state.doc, conflict, side));
  }

  // -- with the node -------------------------------------------------------------------------------------

  /** Save what is not saved yet, and wait for it. True if the node has all of it. */
  async flush(): Promise<boolean> {
    clearTimeout(this.#saveTimer);
    await this.#inTurn(this.#save);
    return this.#state?.saving.kind === "saved";
  }

  /** Leave alone what the node tells until the function that is returned is called: the draft is being deployed here. */
  hold = (): (() => void) => {
    this.#isHeld = true;
    return () => {
      this.#isHeld = false;
      this.reload();
    };
  };

  /** Go back to what is live. */
  async discard(): Promise<void> {
    clearTimeout(this.#saveTimer);
    await this.#inTurn(async () => {
      const state = this.#state;
      if (!state) return;
      try {
        if (state.counter !== null) await discardDraft(this.graph, state.counter);
        await this.#begin(null);
        this.#set({ history: emptyHistory, conflicts: [] });
      } catch (error) {
        const other = inTheWay(error);
        if (other === undefined) notify({ text: messageOf(error), kind: "bad" });
        else await this.#meet(other);
      }
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(work, work).catch((error: unknown) => notify({ text: messageOf(error), kind: "bad" }) as unknown as void);
    return this.#queue;
  }

  #load = async (): Promise<void> => {
    try {
      const draft = await readDraft(this.graph);
      const kept = this.mayEdit ? readKept(this.graph) : null;
      this.#error = undefined;
      if (this.#state) return void (await this.#meetUnlessKnown(draft));
      if (kept?.unsaved) {
        const { doc, saved } = kept.unsaved;
        const { counter, base, history, conflicts } = kept;
        const faults = draft && draft.counter === counter ? faultsOf(draft) : [];
        this.#set({ doc, saved, counter, base, history, faults, checked: saved, conflicts, selected: new Set(), saving: { kind: "saving" } });
        await this.#meetUnlessKnown(draft);
        this.#saveSoon();
      } else {
        await this.#begin(draft);
        const fits = kept && this.#state && kept.counter === (this.#state as DraftState).counter && kept.base === (this.#state as DraftState).base;
        this.#set({ ...(fits ? { history: kept.history } : {}), conflicts: kept?.conflicts ?? [] });
      }
      if (draft && draft.live !== draft.base && this.mayEdit) await this.#catchUp();
    } catch (error) {
      if (this.#state && isPassing(error)) return;
      this.#error = error;
      this.#tell();
    }
  };

  async #meetUnlessKnown(draft: DraftAnswer | null): Promise<void> {
    const state = this.#state;
    if (!state || (draft && draft.counter === state.counter)) return;
    if (draft || state.counter !== null) return this.#meet(draft);
    const live = await readLive(this.graph);
    if ((live?.version ?? 0) !== state.base) await this.#meet(null);
  }

  /** Show what the node has. */
  async #begin(draft: DraftAnswer | null): Promise<void> {
    const live = draft ? null : await readLive(this.graph);
    const doc = draft ? withUids(readGraph(draft.graph).doc) : live ? adopted(live.graph, emptyGraph(this.graph)) : emptyGraph(this.graph);
    this.#set({
      doc,
      saved: doc,
      checked: draft ? asSent(doc, draft) : doc,
      counter: draft?.counter ?? null,
      base: draft?.base ?? live?.version ?? 0,
      faults: draft ? faultsOf(draft) : [],
      history: this.#state?.history ?? emptyHistory,
      selected: this.#state?.selected ?? new Set(),
      conflicts: this.#state?.conflicts ?? [],
      saving: { kind: "saved" },
    });
  }

  #saveSoon(ms = REST_MS): void {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = window.setTimeout(() => void this.#inTurn(this.#save), ms);
  }

  #save = async (): Promise<void> => {
    const state = this.#state;
    if (!state || !this.mayEdit) return;
    const sent = state.doc;
    if (equal(sent, state.saved)) return this.#set({ saving: { kind: "saved" } });
    this.#set({ saving: { kind: "saving" } });
    try {
      const draft = await saveDraft(this.graph, toFile(sent), state.base, state.counter);
      this.#failures = 0;
      this.#set({ saved: sent, counter: draft.counter, faults: faultsOf(draft), checked: sent });
      if (draft.live !== draft.base) await this.#catchUp();
    } catch (error) {
      const other = inTheWay(error);
      if (other !== undefined) await this.#meet(other);
      else if (isPassing(error)) {
        this.#set({ saving: { kind: "waiting", why: messageOf(error) } });
        return this.#saveSoon(AGAIN_MS[Math.min(this.#failures++, AGAIN_MS.length - 1)]);
      } else return this.#set({ saving: { kind: "refused", why: messageOf(error) } });
    }
    this.#look();
  };

  /** Whether all is saved, or something was done meanwhile. */
  #look(): void {
    const state = this.#state;
    if (!state) return;
    const isSaved = equal(state.doc, state.saved);
    this.#set({ saving: { kind: isSaved ? "saved" : "saving" } });
    if (!isSaved) this.#saveSoon();
  }

  #hear(kind: string, data: Readonly<Record<string, unknown>>): void {
    if (kind === "draft") this.#heard = Number(data["counter"]);
    else if (data["state"] !== "switched" && data["state"] !== "undeployed") return;
    void this.#inTurn(async () => {
      const state = this.#state;
      if (!state || this.#isHeld || (kind === "draft" && state.counter !== null && this.#heard <= state.counter && !data["deleted"])) return;
      try {
        const draft = await readDraft(this.graph);
        await this.#meetUnlessKnown(draft);
        if (draft && draft.live !== (this.#state as DraftState).base) await this.#catchUp();
        this.#look();
      } catch (error) {
        if (!isPassing(error)) throw error;
      }
    });
  }

  /** Others have saved, or it is gone: what both did is kept. */
  async #meet(draft: DraftAnswer | null): Promise<void> {
    const state = this.#state;
    if (!state) return;
    if (draft) {
      const saved = withUids(readGraph(draft.graph).doc);
      const hadOwn = !equal(state.doc, state.saved);
      this.#merge(saved, { counter: draft.counter, base: draft.base, faults: faultsOf(draft), checked: asSent(saved, draft) });
      // of a conflict its dialog tells
      if (this.#state?.conflicts.length === state.conflicts.length) notify({ text: hadOwn ? t.compose.merged(draft.by) : t.compose.taken(draft.by) });
    } else {
      const live = await readLive(this.graph);
      const saved = live ? adopted(live.graph, state.doc) : emptyGraph(this.graph);
      const wasDeployed = (live?.version ?? 0) !== state.base;
      this.#merge(saved, { counter: null, base: live?.version ?? 0, faults: [], checked: saved });
      notify({ text: !wasDeployed ? t.compose.wasDiscarded : live ? t.compose.wasDeployed(live.version) : t.compose.takenDown });
    }
    this.#look();
  }

  /** Another version is live than the one the draft began from: it goes on from that. */
  async #catchUp(): Promise<void> {
    const state = this.#state;
    if (!state) return;
    const [before, live] = [state.base ? await readVersion(this.graph, state.base) : null, await readLive(this.graph)];
    const version = live?.version ?? 0;
    if (version === state.base) return;
    const base = before ? adopted(before.graph, state.doc) : emptyGraph(this.graph);
    const next = live ? adopted(live.graph, state.doc) : base;
    // saved first: if it is gone, this draft is what is live, and so it is if it is the same, and about to go
    let saved: Partial<DraftState> = {};
    if (this.mayEdit && state.counter !== null) {
      const { doc } = merge(base, next, state.doc);
      if (equal(state.doc, next) && equal(state.doc, state.saved)) return;
      try {
        const draft = await saveDraft(this.graph, toFile(doc), version, state.counter);
        saved = { saved: doc, counter: draft.counter, faults: faultsOf(draft), checked: doc };
      } catch (error) {
        const other = inTheWay(error);
        if (other === undefined) throw error;
        return this.#meet(other);
      }
    }
    const now = this.#state ?? state;
    const { doc, conflicts, renamed } = merge(base, next, now.doc);
    this.#set({ doc, base: version, conflicts: [...now.conflicts, ...conflicts], history: follow(now.history, renamed), ...this.#chosen(renamed), ...saved });
    notify({ text: live ? t.compose.caughtUp(version) : t.compose.takenDown });
  }

  #merge(saved: GraphDoc, next: Partial<DraftState>): void {
    const state = this.#state;
    if (!state) return;
    const { doc, conflicts, renamed } = merge(state.saved, saved, state.doc);
    this.#set({ doc, saved, conflicts: [...state.conflicts, ...conflicts], history: follow(state.history, renamed), ...this.#chosen(renamed), ...next });
  }

  #chosen(renamed: Readonly<Record<string, string>>): Partial<DraftState> {
    return { selected: new Set([...(this.#state?.selected ?? [])].map((id) => own(renamed, id) ?? id)) };
  }

  // -- here ----------------------------------------------------------------------------------------------

  #set(next: Partial<DraftState>): void {
    this.#state = { ...(this.#state as DraftState), ...next };
    if (!this.#keepTimer) this.#keepTimer = window.setTimeout(this.leave, KEEP_MS);
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** The page may be gone at any moment: keep in the browser what is here. */
  leave = (): void => {
    clearTimeout(this.#keepTimer);
    this.#keepTimer = 0;
    const state = this.#state;
    if (!state || !this.mayEdit) return;
    const { counter, base, history, conflicts, doc, saved } = state;
    keep(this.graph, { counter, base, history, conflicts, ...(equal(doc, saved) ? {} : { unsaved: { doc, saved } }) });
  };
}

const drafts = new Map<string, Draft>();

/** The draft of a graph on this page: pages that show it have the same one. */
export function draftOf(graph: string, mayEdit: boolean): Draft {
  const found = drafts.get(graph);
  if (found && found.mayEdit === mayEdit) return found;
  const made = new Draft(graph, mayEdit);
  drafts.set(graph, made);
  return made;
}
