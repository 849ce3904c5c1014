/** A live graph as the node tells of it, and its state in words. */

import { t } from "../../texts";

export interface Resting {
  readonly filter: string;
  readonly since: string;
  readonly reason: string;
  readonly instances: number;
}

/** What is said of a graph where it is listed as well as where it stands alone. */
export interface Told {
  readonly name: string;
  readonly version: number;
  readonly state: string;
  /** Why it cannot run, and the filter that is the reason, if it is one. */
  readonly error?: string;
  readonly error_filter?: string;
  /** Filters whose destination or service is down. */
  readonly resting?: readonly Resting[];
  readonly counts?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** The file of a graph in the folder of graphs. */
export interface FolderFile {
  readonly path: string;
  /** From what is live. */
  readonly differs: boolean;
  /** Which of the two was changed last; empty: neither. */
  readonly changed: "file" | "node" | "";
  /** Why it is not deployed. */
  readonly problem: string;
}

/** A composite in a graph that runs, and the version that there is now. */
export interface Used {
  readonly name: string;
  readonly version: number;
  readonly newest: number;
}

export interface LiveGraph extends Told {
  /** Versions that finish documents, and until when they may. */
  readonly former?: readonly { readonly version: number; readonly until: string }[];
  readonly graph: unknown;
  /** The graph as it runs, if composites are in it. */
  readonly expanded?: unknown;
  readonly composites?: readonly Used[];
  readonly file?: FolderFile;
}

export interface State {
  readonly kind: "ok" | "warn" | "bad" | "off";
  readonly text: string;
}

const STATES: Readonly<Record<string, State>> = {
  live: { kind: "ok", text: t.graph.live },
  starting: { kind: "off", text: t.graph.starting },
  paused: { kind: "warn", text: t.graph.paused },
  closing: { kind: "off", text: t.graph.closing },
  failed: { kind: "bad", text: t.graph.failed },
  stalled: { kind: "bad", text: t.graph.stalled },
};

export function stateOf(told: Told | undefined): State {
  if (!told) return { kind: "off", text: t.graph.notDeployed };
  if (told.state === "live" && told.resting?.length) return { kind: "warn", text: t.graph.rests };
  return STATES[told.state] ?? { kind: "off", text: told.state };
}
