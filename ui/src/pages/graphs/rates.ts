/** Documents published by each graph in each of the last seconds; kept while the page is open, also while another one is shown. */

import { useEffect, useSyncExternalStore } from "react";
import { listen } from "../../api/events";
import { EMPTY, type Queue } from "../graph/watch/counters";

const SECONDS = 60;
/** Events come once a second, of graphs in which something happens; of others none comes. */
const SILENT_MS = 1500;

export interface Flow {
  readonly published: readonly number[];
  /** The newest of its queue. */
  readonly queue: Queue;
  readonly heard: number;
}

let flows: ReadonlyMap<string, Flow> = new Map();
const listeners = new Set<() => void>();
let stop: (() => void) | null = null;

function push(graph: string, queue: Queue, heard: number): void {
  const before = flows.get(graph)?.published ?? Array.from({ length: SECONDS }, () => 0);
  flows = new Map(flows).set(graph, { queue, heard, published: [...before, queue.published].slice(-SECONDS) });
}

function tell(): void {
  for (const listener of listeners) listener();
}

function start(): () => void {
  const unlisten = listen(["queue"], ({ data }) => {
    push(String(data["graph"]), { ...EMPTY, ...(data as unknown as Queue) }, Date.now());
    tell();
  });
  const timer = window.setInterval(() => {
    for (const [graph, { heard }] of flows) if (Date.now() - heard > SILENT_MS) push(graph, EMPTY, heard);
    tell();
  }, 1000);
  return () => {
    unlisten();
    clearInterval(timer);
  };
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useFlows(): ReadonlyMap<string, Flow> {
  useEffect(() => {
    stop ??= start();
    return () => {
      stop?.();
      stop = null;
    };
  }, []);
  return useSyncExternalStore(subscribe, () => flows);
}
