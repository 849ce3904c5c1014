/** What the node counts each second, and how it is drawn. */

import type { Level } from "../../../model/composites";
import { filtersOf, wireKey } from "../../../model/graph";
import { own } from "../../../model/json";

export interface FilterCounters {
  readonly in?: number;
  readonly out?: number;
  /** Seconds of work in a second, of all instances. */
  readonly busy?: number;
  readonly parked?: number;
  readonly failures?: number;
  readonly retries?: number;
  /** Instances in which it rests. */
  readonly resting?: number;
}

export interface WireCounters {
  readonly packets?: number;
  readonly parked?: number;
  /** Packets that wait on it, and how many it holds before its sender is stopped. */
  readonly depth?: number;
  readonly bound?: number;
}

export interface Counters {
  readonly filters: Readonly<Record<string, FilterCounters>>;
  readonly wires: Readonly<Record<string, WireCounters>>;
}

export const NOTHING: Counters = { filters: {}, wires: {} };

/** Counters with those of what is drawn and made of others: each is the sum of what runs behind it. */
export function withLevel(counters: Counters, level: Level | undefined): Counters {
  if (!level?.inside.size) return counters;
  const wires: Record<string, WireCounters> = { ...counters.wires };
  const filters: Record<string, FilterCounters> = { ...counters.filters };
  const flow = new Map<string, { in: number; out: number }>();
  for (const wire of level.doc.wires) {
    const [from, to] = filtersOf(wire);
    if (!level.inside.has(from) && !level.inside.has(to)) continue;
    const behind = (level.wires.get(wireKey(wire)) ?? []).map((each) => own(counters.wires, tapOf(each)) ?? {});
    const sum = (what: keyof WireCounters): number => behind.reduce((all, each) => all + (each[what] ?? 0), 0);
    const found = { packets: sum("packets"), parked: sum("parked"), depth: sum("depth"), bound: sum("bound") };
    wires[tapOf(wire)] = found;
    for (const [name, side] of [[from, "out"], [to, "in"]] as const) {
      const before = flow.get(name) ?? { in: 0, out: 0 };
      flow.set(name, { ...before, [side]: before[side] + found.packets });
    }
  }
  for (const [name, inside] of level.inside) {
    const all = inside.map((each) => own(counters.filters, each) ?? {});
    const sum = (what: keyof FilterCounters): number => all.reduce((total, each) => total + (each[what] ?? 0), 0);
    filters[name] = { ...(flow.get(name) ?? { in: sum("in"), out: sum("out") }), busy: sum("busy"), parked: sum("parked"), failures: sum("failures"), retries: sum("retries"), resting: Math.max(...all.map((each) => each.resting ?? 0)) };
  }
  return { filters, wires };
}

/** The name of a wire in counters and taps. */
export const tapOf = ([from, to]: readonly [string, string]): string => `${from}-${to}`;

/** The queue of a graph; documents in a second, and what waits. */
export interface Queue {
  readonly accepted: number;
  readonly published: number;
  readonly dropped: number;
  readonly failed: number;
  readonly documents: number;
  readonly deliveries: number;
  readonly bytes: number;
  readonly oldest_s: number;
  readonly total?: Totals;
}

export const EMPTY: Queue = { accepted: 0, published: 0, dropped: 0, failed: 0, documents: 0, deliveries: 0, bytes: 0, oldest_s: 0 };

/** Documents of a graph since its shards were made. */
export interface Totals {
  readonly accepted: number;
  readonly published: number;
  readonly dropped: number;
  readonly failed: number;
}

export function totalsOf(shards: readonly Totals[]): Totals {
  const sum = (what: keyof Totals): number => shards.reduce((all, each) => all + each[what], 0);
  return { accepted: sum("accepted"), published: sum("published"), dropped: sum("dropped"), failed: sum("failed") };
}

const THIN = 1.5;
const THICK = 8;
const WARN = 0.6;
const BAD = 0.85;

/** Pixels of a wire on which so many packets pass in a second: ten times as many are 1.4 more. */
export const widthOf = (packets: number): number => (packets > 0 ? Math.min(THIN + 1.4 * Math.log10(1 + packets), THICK) : THIN);

export function levelOf({ depth = 0, bound = 0 }: WireCounters): "" | "warn" | "bad" {
  const full = bound > 0 ? depth / bound : 0;
  return full >= BAD ? "bad" : full >= WARN ? "warn" : "";
}

/** The value below which this share of packets lies, from counts by bound; the last count is of those beyond all bounds. */
export function quantile(counts: readonly number[], bounds: readonly number[], share: number): number | undefined {
  const all = counts.reduce((sum, each) => sum + each, 0);
  if (all === 0) return undefined;
  let left = share * all;
  for (const [at, each] of counts.entries()) {
    left -= each;
    if (left <= 0 && each > 0) return bounds[at] ?? Infinity;
  }
  return Infinity;
}
