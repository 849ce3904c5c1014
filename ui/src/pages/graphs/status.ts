/** The state of the node as the graphs page shows it: what `GET /status` says of each graph, added over its shards. */

import type { Told } from "../graph/state";

export interface Concern {
  readonly kind: string;
  readonly graph: string;
  readonly filter: string;
  readonly text: string;
}

interface Lane {
  readonly documents: number;
  readonly oldest_s: number;
}

interface Use {
  readonly deliveries: number;
  readonly bytes: number;
  readonly dead_letters: number;
  readonly lanes: Readonly<Record<string, Lane>>;
  readonly lately: { readonly seconds: number; readonly accepted: number; readonly published: number; readonly failed: number } | null;
}

export interface Listed extends Told {
  readonly filters: readonly string[];
  readonly routes: readonly string[];
  readonly description?: string;
  readonly draft?: boolean;
  readonly file?: GraphFile;
}

/** The file of the folder of graphs that is this graph's. */
export interface GraphFile {
  readonly path: string;
  /** From what is live. */
  readonly differs: boolean;
  /** Which of both was changed since they were the same; empty: neither. */
  readonly changed: "file" | "node" | "";
  /** Why it cannot be read or deployed. */
  readonly problem: string;
}

export interface Undeployed {
  readonly file: string;
  readonly graph: string;
  readonly reason: string;
}

export interface Pool {
  readonly name: string;
  readonly state: string;
  readonly filters: readonly string[];
  readonly workers: readonly { readonly is_busy: boolean }[];
  readonly busy_lately?: number;
  readonly failure?: string;
}

export interface NodeStatus {
  readonly state: string;
  readonly version: string;
  readonly uptime_s: number;
  readonly graphs: readonly Listed[];
  readonly undeployed: readonly Undeployed[];
  readonly concerns: readonly Concern[];
  readonly workers: readonly { readonly state: string }[];
  readonly instances: readonly { readonly id: number; readonly state: string }[];
  readonly pools: readonly Pool[];
  readonly shards: readonly {
    readonly shard: number;
    readonly queue: { readonly deliveries: number; readonly bytes: number; readonly dead_letters: number; readonly is_failed: boolean } | null;
    readonly graphs: Readonly<Record<string, Use>>;
    /** Why it cannot be asked, or empty. */
    readonly reason: string;
  }[];
  readonly disk: { readonly folder: string; readonly total_bytes: number; readonly free_bytes: number } | null;
}

/** What waits of a graph, and what came of it in the last minute. */
export interface Usage {
  readonly documents: number;
  readonly bytes: number;
  readonly deadLetters: number;
  readonly oldest_s: number;
  /** Documents in a second. */
  readonly accepted: number;
  readonly published: number;
  readonly failed: number;
}

export function usageOf({ shards }: Pick<NodeStatus, "shards">, graph: string): Usage {
  const uses = shards.flatMap(({ graphs }) => (Object.hasOwn(graphs, graph) ? [graphs[graph] as Use] : []));
  const lanes = uses.flatMap((use) => Object.values(use.lanes));
  const sum = (values: readonly number[]): number => values.reduce((all, each) => all + each, 0);
  const rate = (what: "accepted" | "published" | "failed"): number =>
    sum(uses.map(({ lately }) => (lately && lately.seconds > 0 ? lately[what] / lately.seconds : 0)));
  return {
    documents: sum(lanes.map((lane) => lane.documents)),
    bytes: sum(uses.map((use) => use.bytes)),
    deadLetters: sum(uses.map((use) => use.dead_letters)),
    oldest_s: Math.max(0, ...lanes.map((lane) => lane.oldest_s)),
    accepted: rate("accepted"),
    published: rate("published"),
    failed: rate("failed"),
  };
}
