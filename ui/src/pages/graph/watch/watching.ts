/** Watches one graph: keeps its newest counters for whoever shows them, and draws them on the canvas. */

import { useEffect, useMemo, useSyncExternalStore } from "react";
import { listen, type NodeEvent } from "../../../api/events";
import type { Level } from "../../../model/composites";
import { wireKey } from "../../../model/graph";
import { own } from "../../../model/json";
import { brief, rate, share } from "../../../parts/numbers";
import { t } from "../../../texts";
import { Live } from "../canvas/live";
import { type Counters, EMPTY, type FilterCounters, NOTHING, type Queue, type WireCounters, levelOf, tapOf, widthOf, withLevel } from "./counters";

/** Seconds of which rates are kept. */
const KEPT = 90;

export interface Snapshot {
  readonly counters: Counters;
  readonly queue: Queue;
  /** Documents published in each of the last seconds, the newest last. */
  readonly published: readonly number[];
}

export class Watching {
  readonly live = new Live();
  #snapshot: Snapshot = { counters: NOTHING, queue: EMPTY, published: [] };
  readonly #listeners = new Set<() => void>();
  #level: Level | undefined;
  #told: Counters = NOTHING;
  #instances = 1;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly snapshot = (): Snapshot => this.#snapshot;

  /** What is drawn from now on. */
  of(level: Level | undefined, instances: number): void {
    this.#level = level;
    this.#instances = Math.max(instances, 1);
    this.#snapshot = { ...this.#snapshot, counters: withLevel(this.#told, level) };
    this.#draw();
  }

  readonly hear = ({ kind, data }: NodeEvent): void => {
    if (kind === "counters") {
      this.#told = { ...NOTHING, ...(data as unknown as Counters) };
      this.#snapshot = { ...this.#snapshot, counters: withLevel(this.#told, this.#level) };
      this.#draw();
    } else {
      const queue = { ...EMPTY, ...(data as unknown as Queue) };
      this.#snapshot = { ...this.#snapshot, queue, published: [...this.#snapshot.published, queue.published].slice(-KEPT) };
    }
    for (const listener of this.#listeners) listener();
  };

  #draw(): void {
    const { filters, wires } = this.#snapshot.counters;
    for (const wire of this.#level?.doc.wires ?? []) this.#drawWire(wireKey(wire), own(wires, tapOf(wire)) ?? {});
    for (const name of Object.keys(this.#level?.doc.nodes ?? {})) this.#drawFilter(name, own(filters, name) ?? {});
  }

  #drawWire(key: string, counters: WireCounters): void {
    const { packets = 0, depth = 0 } = counters;
    const says = [packets > 0 ? t.watch.packetsPerSecond(brief(packets)) : "", depth > 0 ? t.watch.waiting(brief(depth)) : ""].filter(Boolean);
    const [above, below] = [packets > 0 ? rate(packets) : "", depth > 0 ? t.watch.depth(brief(depth)) : ""];
    this.live.setWire(key, { rate: above, depth: below, width: widthOf(packets), level: levelOf(counters), isMoving: packets > 0, says: says.join(", ") });
  }

  #drawFilter(name: string, { in: taken = 0, out = 0, busy = 0, failures = 0, resting = 0 }: FilterCounters): void {
    const packets = Math.max(taken, taken > 0 ? 0 : out);
    const part = busy / this.#instances;
    const says = [
      packets > 0 ? t.watch.packetsPerSecond(brief(packets)) : "",
      failures > 0 ? t.watch.failuresPerSecond(brief(failures)) : "",
      part > 0 ? t.watch.busy(share(part)) : "",
      resting > 0 ? t.watch.rests : "",
    ].filter(Boolean);
    this.live.setFilter(name, {
      text: packets > 0 ? rate(packets) : "",
      busy: part,
      busyText: part > 0 ? share(part) : "",
      failures: failures > 0 ? `✕ ${rate(failures)}` : "",
      rests: resting > 0 ? t.watch.rests : "",
      says: says.join(", "),
    });
  }
}

/** The watching of a graph, for as long as a part is there. */
export function useWatching(name: string, level: Level | undefined, instances: number): Watching {
  const watching = useMemo(() => new Watching(), []);
  useEffect(() => watching.of(level, instances), [watching, level, instances]);
  useEffect(() => listen(["counters", "queue"], watching.hear, name), [watching, name]);
  return watching;
}

export const useSnapshot = (watching: Watching): Snapshot => useSyncExternalStore(watching.subscribe, watching.snapshot);
