/** Replays of many dead letters: they go on while other pages are looked at, and end with a result in words. */

import { useSyncExternalStore } from "react";
import { ApiError, ask, get, query } from "../../api/http";
import { messageOf } from "../../parts/Problem";
import { touch } from "./held";
import type { Criteria, Replayed } from "./letters";

/** Letters of one request; small enough to show how far it is. */
const PORTION = 100;
const MOST = 10_000;
const PAGE = 1000;
const LOOK_MS = 1000;
/** Refusals that pass: there is no room now, or somebody else replays it. */
const PASSING: ReadonlySet<string> = new Set(["queue.full", "deadletters.replaying"]);

export interface Replay {
  readonly criteria: Criteria;
  /** Letters that there were when it began. Those that fail again are new ones, and not replayed once more. */
  readonly total: number;
  readonly phase: "sending" | "full" | "waiting" | "over";
  readonly went: number;
  readonly edits: number;
  readonly refused: ReadonlyMap<string, string>;
  readonly ends: Ends;
  readonly isStopped: boolean;
  readonly error?: string;
}

export interface Ends {
  readonly accepted: number;
  readonly published: number;
  readonly dropped: number;
  readonly failed: number;
  readonly pending: number;
}

interface Receipt extends Ends {
  readonly receipt: string;
}

const NONE: Ends = { accepted: 0, published: 0, dropped: 0, failed: 0, pending: 0 };

let replays: readonly Replay[] = [];
const listeners = new Set<() => void>();

function show(next: readonly Replay[]): void {
  replays = next;
  for (const listener of listeners) listener();
}

export const useReplays = (): readonly Replay[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => replays,
  );

const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** One replay while it runs; what of it is shown is a {@link Replay}. */
class Running {
  private shown: Replay;
  private readonly refused = new Map<string, string>();
  private readonly receipts = new Set<string>();

  constructor(criteria: Criteria, total: number, private readonly from: "start" | undefined) {
    this.shown = { criteria, total, phase: "sending", went: 0, edits: 0, refused: this.refused, ends: NONE, isStopped: false };
    show([...replays, this.shown]);
  }

  set(change: Partial<Replay>): void {
    const next = { ...this.shown, ...change };
    show(replays.map((each) => (each === this.shown ? next : each)));
    this.shown = next;
  }

  is(one: Replay): boolean {
    return one === this.shown;
  }

  async run(): Promise<void> {
    try {
      await this.hand();
    } catch (error) {
      this.set({ error: messageOf(error) });
    }
    touch();
    try {
      if (this.receipts.size) await this.follow();
    } catch (error) {
      this.set({ error: messageOf(error) });
    }
    this.set({ phase: "over" });
    touch();
  }

  /** Hand the letters in again, the oldest first, so that none which comes meanwhile takes the place of one that was counted. */
  private async hand(): Promise<void> {
    let portion = PORTION;
    while (!this.shown.isStopped) {
      const left = this.shown.total - this.shown.went - this.refused.size;
      if (left <= 0) return;
      // those that were refused are still there, and are the oldest
      const limit = Math.min(Math.min(portion, left) + this.refused.size, MOST);
      let body: Replayed;
      try {
        ({ body } = await ask<Replayed>("POST", "deadletters/replay", { body: { ...this.shown.criteria, ...(this.from && { from: this.from }), limit } }));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 429 || error.status === 503) {
          this.set({ phase: "full" });
          await wait(1000 * (Number(error.headers.get("retry-after")) || 1));
          continue;
        }
        // the first ones cannot go; perhaps others can
        if (error.status !== 409 || portion >= left) throw error;
        portion = left;
        continue;
      }
      const known = this.refused.size;
      const passing = (body.refused ?? []).filter((each) => PASSING.has(each.code));
      for (const each of body.refused ?? []) if (!PASSING.has(each.code)) this.refused.set(each.id, each.detail);
      for (const each of body.receipts) this.receipts.add(each);
      this.set({ phase: passing.length ? "full" : "sending", went: this.shown.went + body.count, edits: this.shown.edits + (body.edits_forgotten ?? 0) });
      if (passing.length) await wait(LOOK_MS);
      else if (!body.count && this.refused.size === known) return;
    }
  }

  /** Look until all have come to an end. */
  private async follow(): Promise<void> {
    this.set({ phase: "waiting" });
    for (;;) {
      const ends = await this.look();
      this.set({ ends });
      if (!ends.pending || this.shown.isStopped) return;
      await wait(LOOK_MS);
    }
  }

  private async look(): Promise<Ends> {
    const first = [...this.receipts].reduce((one, other) => (one < other ? one : other));
    const { graph } = this.shown.criteria;
    let found = NONE;
    let after: string | null = null;
    do {
      const page: { receipts: readonly Receipt[]; next: string | null } = await get(`receipts${query({ graph, limit: PAGE, after })}`, { isUnasked: true });
      for (const each of page.receipts) if (this.receipts.has(each.receipt)) found = sum(found, each);
      after = page.next !== null && page.next > first ? page.next : null;
    } while (after !== null);
    return found;
  }
}

const sum = (one: Ends, other: Ends): Ends => ({
  accepted: one.accepted + other.accepted,
  published: one.published + other.published,
  dropped: one.dropped + other.dropped,
  failed: one.failed + other.failed,
  pending: one.pending + other.pending,
});

const running = new Set<Running>();

/** Replay so many dead letters that match, from where each failed or from the start. */
export function replayAll(criteria: Criteria, total: number, from: "start" | undefined): void {
  const one = new Running(criteria, total, from);
  running.add(one);
  void one.run().finally(() => running.delete(one));
}

export function stop(replay: Replay): void {
  for (const one of running) if (one.is(replay)) one.set({ isStopped: true });
}

export const dismiss = (replay: Replay): void => show(replays.filter((each) => each !== replay));
