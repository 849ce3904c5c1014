/** Receipts, documents and traces as the node tells of them. */

import { type Exact, isListOf, isObjectOf, read } from "../../model/exact";
import { type PacketParts, partsOf } from "../../model/packet";

export type State = "queued" | "processing" | "done" | "failed";
export type Outcome = "published" | "dropped" | "failed" | "pending";

export interface Receipt {
  readonly receipt: string;
  readonly state: State;
  readonly accepted: number;
  readonly published: number;
  readonly dropped: number;
  readonly failed: number;
  readonly pending: number;
  readonly received: string;
  readonly started: string | null;
  readonly finished: string | null;
  readonly graph: string;
  readonly version: number | null;
  readonly reason?: string;
  readonly replay_of?: { readonly receipt: string; readonly deadletter: string; readonly start: string };
  readonly replays?: readonly { readonly receipt: string; readonly documents: number; readonly state: State }[];
  readonly removed?: Readonly<Record<string, number>>;
  readonly posted_by?: string;
}

interface Elsewhere {
  readonly receipt: string;
  readonly index: number;
  readonly outcome?: Outcome | null;
}

export interface Document {
  readonly index: number;
  readonly id: string | null;
  readonly outcome: Outcome;
  readonly publishers: readonly string[];
  readonly filter: string | null;
  readonly deadletter: string | null;
  readonly file: string | null;
  readonly route: string | null;
  readonly replay?: Elsewhere;
  readonly origin?: Elsewhere;
}

export interface Documents {
  readonly documents: readonly Document[];
  readonly next: number | null;
}

/** A run of a document that was looked for by its id or file. */
export interface Place extends Document {
  readonly receipt: string;
  readonly graph: string;
  readonly state: State;
  readonly received: string;
}

export interface Places {
  readonly documents: readonly Place[];
  readonly searched: { readonly deliveries: number; readonly since: string | null };
  readonly next: string | null;
}

/** A packet of a trace, and the documents that it was made of. */
export interface Seen {
  readonly documents: readonly number[];
  readonly packet: PacketParts;
}

interface TracedStep {
  readonly filter: string;
  readonly component: string;
  readonly packets_in: number;
  readonly packets_out: Readonly<Record<string, number>>;
  readonly published: number;
  readonly dropped: number;
  readonly kept: number;
  readonly failed: number;
  readonly attempts: number;
  readonly ms: number;
  readonly waited_ms: number;
  readonly errors: readonly { readonly documents: readonly number[]; readonly code: string; readonly error: string; readonly attempt: number; readonly is_final: boolean }[];
}

export interface Step extends TracedStep {
  readonly in: readonly Seen[];
  readonly out: readonly (readonly [port: string, packets: readonly Seen[]])[];
}

export interface Trace {
  readonly run: number;
  readonly documents: number;
  readonly shown: number;
  readonly ms: number;
  readonly steps: readonly Step[];
}

const at = (of: Exact | undefined, name: string): Exact | undefined => (isObjectOf(of) ? of.get(name) : undefined);

function seen(packets: Exact | undefined): readonly Seen[] {
  if (!isListOf(packets)) return [];
  return packets.map((each) => {
    const documents = at(each, "documents");
    return { documents: isListOf(documents) ? documents.map((index) => Number(typeof index === "object" && index && "text" in index ? index.text : 0)) : [], packet: partsOf(each) };
  });
}

/** The filters that a trace tells of, with their packets exactly as the node has them. */
export function traceOf(text: string): Trace {
  const parsed = JSON.parse(text) as Omit<Trace, "steps"> & { readonly steps: readonly TracedStep[] };
  const whole = at(read(text), "steps");
  const steps = parsed.steps.map((step, position) => {
    const exact = isListOf(whole) ? whole[position] : undefined;
    const out = at(exact, "out");
    return { ...step, in: seen(at(exact, "in")), out: isObjectOf(out) ? [...out].map(([port, packets]) => [port, seen(packets)] as const) : [] };
  });
  // a filter to which nothing came has done nothing
  return { ...parsed, steps: steps.filter((step) => step.packets_in > 0 || step.out.length > 0 || step.errors.length > 0) };
}

/** The form of a receipt's id; that of a dead letter is one with digits behind it. */
const RECEIPT = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const LETTER = /^([0-9a-f-]{36})-[0-9a-f]+$/i;

export const isReceipt = (text: string): boolean => RECEIPT.test(text);

/** The receipt that the id of a dead letter begins with, if the text is one. */
export function receiptOfLetter(text: string): string | undefined {
  const receipt = LETTER.exec(text)?.[1];
  return receipt !== undefined && isReceipt(receipt) ? receipt : undefined;
}
