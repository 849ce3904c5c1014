/** What a dry run tells, and the ways of packets through it: plain values, without anything of a browser. */

import { own } from "../../../model/json";

export interface Form {
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly field_meta?: Readonly<Record<string, unknown>>;
  /** By their path, how long values are of which only the beginning is here. */
  readonly cut?: Readonly<Record<string, number>>;
  /** There was no room for it. */
  readonly left_out?: boolean;
}

export interface Origin {
  readonly port: string;
  readonly filter: string | null;
  readonly out: string | null;
  readonly index: number | null;
}

export interface Call {
  readonly in: readonly number[];
  readonly out: Readonly<Record<string, readonly number[]>>;
  readonly at_ms: number;
  readonly ms: number;
  readonly waited_ms?: number;
  readonly attempt: number;
  readonly dropped: number | boolean;
  readonly failed: boolean;
}

export interface Failure {
  readonly filter: string;
  readonly code: string;
  readonly error: string;
  readonly traceback: string;
  readonly attempts: number;
  readonly in: number | null;
}

export interface Step {
  readonly filter: string;
  readonly component: string;
  readonly in: readonly Form[];
  readonly out: Readonly<Record<string, readonly Form[]>>;
  readonly dropped: number;
  readonly error: Failure | null;
  readonly ms: number;
  readonly waited_ms?: number;
  readonly counts: { readonly in: number; readonly out: Readonly<Record<string, number>> };
  readonly origins: readonly Origin[];
  readonly parents?: Readonly<Record<string, readonly (number | null)[]>>;
  readonly calls: readonly Call[];
}

export interface Report {
  readonly steps: readonly Step[];
  readonly published: number;
  readonly dropped: number;
  readonly failed: number;
  readonly failures: readonly Failure[];
  readonly left_out: readonly string[];
  readonly test?: Readonly<Record<string, unknown>> | null;
  readonly no_test?: string;
}

/** A packet that went out of a filter. */
export interface Sent {
  readonly port: string;
  readonly index: number;
}

/** Where somebody stands: at a filter, before one of the packets that came to it, or none if none did; and what came of it. */
export interface Spot {
  readonly filter: string;
  readonly at: number;
  /** The place among what came of the packet. */
  readonly sent: number;
}

export const stepOf = (report: Report, filter: string): Step | undefined => report.steps.find((step) => step.filter === filter);

const has = (call: Call, at: number): boolean => call.in.includes(at);

/** The packets that were made of one, or with it, in the order of the ports. */
export function sentOf(step: Step, at: number): readonly Sent[] {
  const ports = Object.keys(step.out);
  const found = ports.flatMap((port) => (own(step.parents ?? {}, port) ?? []).flatMap((parent, index) => (parent === at ? [{ port, index }] : [])));
  if (found.length) return found;
  // made of several: by the call that took it
  const calls = at < 0 ? step.calls : step.calls.filter((call) => has(call, at));
  return ports.flatMap((port) => calls.flatMap((call) => (own(call.out, port) ?? []).filter((index) => own(step.parents ?? {}, port)?.[index] == null).map((index) => ({ port, index }))));
}

export const formOf = (step: Step, sent: Sent | undefined): Form | undefined => (sent ? own(step.out, sent.port)?.[sent.index] : undefined);

/** The calls that took a packet, one for each attempt. */
export const callsOf = (step: Step, at: number): readonly Call[] => step.calls.filter((call) => (at < 0 ? true : has(call, at)));

export const failureOf = (report: Report, { filter, at }: Spot): Failure | undefined => report.failures.find((failure) => failure.filter === filter && (failure.in === at || (failure.in === null && at < 0)));

/** What became of the packet in this filter. */
export type Fate = "sent" | "dropped" | "failed" | "published" | "none";

export function fateOf(report: Report, spot: Spot, isPublisher: boolean): Fate {
  const step = stepOf(report, spot.filter);
  if (!step || (spot.at < 0 && sentOf(step, -1).length === 0)) return "none";
  if (failureOf(report, spot)) return "failed";
  if (sentOf(step, spot.at).length) return "sent";
  return isPublisher ? "published" : "dropped";
}

/** Where a packet that went out of a filter came in, one spot for each wire. */
export function nextSpots(report: Report, spot: Spot): readonly Spot[] {
  const step = stepOf(report, spot.filter);
  const sent = step && sentOf(step, spot.at)[spot.sent];
  if (!sent) return [];
  return report.steps.flatMap((next) =>
    next.origins.flatMap((origin, at) => (origin.filter === spot.filter && origin.out === sent.port && origin.index === sent.index ? [{ filter: next.filter, at, sent: 0 }] : [])),
  );
}

/** Where the packet before a filter was sent; undefined: it entered the graph there. */
export function formerSpot(report: Report, spot: Spot): Spot | undefined {
  const origin = stepOf(report, spot.filter)?.origins[spot.at];
  const former = origin?.filter ? stepOf(report, origin.filter) : undefined;
  if (!origin || !former || origin.out === null || origin.index === null) return undefined;
  const parent = own(former.parents ?? {}, origin.out)?.[origin.index] ?? former.calls.find((call) => own(call.out, origin.out ?? "")?.includes(origin.index ?? -1))?.in[0] ?? -1;
  const sent = sentOf(former, parent).findIndex(({ port, index }) => port === origin.out && index === origin.index);
  return { filter: former.filter, at: parent, sent: Math.max(sent, 0) };
}

/** The way of the packet at a spot: all before it, and after it the first way that leads on. */
export function wayOf(report: Report, spot: Spot): readonly Spot[] {
  const way: Spot[] = [spot];
  for (let each = formerSpot(report, spot); each && way.length < report.steps.length; each = formerSpot(report, each)) way.unshift(each);
  for (let each = nextSpots(report, spot)[0]; each && way.length < 2 * report.steps.length; each = nextSpots(report, each)[0]) way.push(each);
  return way;
}

/** Where to begin: at the first failure, seen from where its packet entered; else where the first packet entered. */
export function firstSpot(report: Report): Spot | undefined {
  const step = report.steps.find((each) => each.in.length > 0) ?? report.steps[0];
  return step && { filter: step.filter, at: step.in.length ? 0 : -1, sent: 0 };
}

/** The spot in a later run that is at the same place, if there still is such a packet. */
export function sameSpot(report: Report, spot: Spot): Spot | undefined {
  const step = stepOf(report, spot.filter);
  if (!step) return undefined;
  if (spot.at >= step.in.length) return step.in.length ? { ...spot, at: step.in.length - 1, sent: 0 } : undefined;
  return { ...spot, sent: Math.min(spot.sent, Math.max(sentOf(step, spot.at).length - 1, 0)) };
}
