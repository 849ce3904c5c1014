/** Which ports fit together, and why others do not. All ports carry packets: what fits is a question of the ways. */

import { type End, type GraphDoc, type Place, type Wire, endOf, filterOf, filtersOf, hasWire, wireOf } from "./graph";
import { type JsonObject, type Said, byName, own, said } from "./json";

/** What `GET /components` says of a component, as far as the editor goes by it. */
export interface Spec {
  readonly name: string;
  readonly kind: string;
  readonly doc: string;
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly schema: JsonObject;
  readonly icon?: string;
  readonly tags?: readonly string[];
  readonly accepts?: readonly string[];
  readonly fetches?: boolean;
  readonly batches?: boolean;
  readonly privileged?: boolean;
  readonly unpooled?: string;
  readonly error?: string | null;
  /** Of a composite: its newest version. */
  readonly version?: string | number;
}

export type Catalogue = Readonly<Record<string, Spec>>;
export type Side = "output" | "input";

export interface Port extends End {
  readonly side: Side;
}

/** The kind of composites. */
export const COMPOSITE = "COMPOSITE";
/** The output that every filter has: packets that failed in it. */
export const ERROR_PORT = "error";

export interface Candidate {
  readonly filter: string;
  readonly port: string;
  readonly wire: Wire;
  /** What the component says of the port. */
  readonly description: string;
}

export interface NewCandidate {
  readonly component: string;
  /** The port of the new filter that is wired. */
  readonly port: string;
  readonly spec: Spec;
}

/** A component, or a composite whatever its version (`tidy@2`), by what a filter names. */
export function specOf(catalogue: Catalogue, component: string): Spec | undefined {
  return own(catalogue, component) ?? own(catalogue, component.replace(/@\d+$/, ""));
}

/** The inputs in their order. A source fetches by itself: nothing is wired to it. */
export function inputsOf(spec: Spec): readonly string[] {
  return spec.fetches ? [] : Object.keys(spec.inputs).sort(byName);
}

/** The outputs in the order in which they are drawn: numbered ones by their number, what is left over, and errors. */
export function outputsOf(spec: Spec): readonly string[] {
  const rank = (port: string): number => (port === ERROR_PORT ? 2 : port === "else" || port === "rest" ? 1 : 0);
  const ports = Object.keys(spec.outputs).filter((port) => port !== ERROR_PORT);
  return [...ports, ERROR_PORT].sort((one, other) => rank(one) - rank(other) || byName(one, other));
}

/** The ports of a filter; of a component that is not installed, those that are wired. */
export function portsOf(
  doc: GraphDoc,
  catalogue: Catalogue,
  filter: string,
): { readonly inputs: readonly string[]; readonly outputs: readonly string[] } {
  const spec = specOf(catalogue, filterOf(doc, filter)?.component ?? "");
  const wired = (index: 0 | 1): readonly string[] =>
    doc.wires
      .map((wire) => endOf(wire[index]))
      .filter((end) => end.filter === filter)
      .map((end) => end.port);
  const both = (known: readonly string[], used: readonly string[]): readonly string[] => [
    ...known,
    ...[...new Set(used)].filter((port) => !known.includes(port)).sort(byName),
  ];
  return spec && !spec.error
    ? { inputs: both(inputsOf(spec), wired(1)), outputs: both(outputsOf(spec), wired(0)) }
    : { inputs: both([], wired(1)), outputs: both([], wired(0)) };
}

/** The reason why a wire cannot be, or null. */
export function whyNot(doc: GraphDoc, catalogue: Catalogue, wire: Wire): Said | null {
  const [from, to] = [endOf(wire[0]), endOf(wire[1])];
  for (const [end, side] of [
    [from, "output"],
    [to, "input"],
  ] as const) {
    const filter = filterOf(doc, end.filter);
    if (!filter) return said("ports.noFilter", { filter: end.filter });
    const spec = specOf(catalogue, filter.component);
    if (!spec || spec.error) return said("ports.unknown", { filter: end.filter, component: filter.component });
    const ports = side === "output" ? outputsOf(spec) : inputsOf(spec);
    if (!ports.length) return said("ports.source", { filter: end.filter });
    if (!ports.includes(end.port))
      return said(`ports.no.${side}`, { filter: end.filter, port: end.port, ports: ports.join(", ") });
  }
  if (from.filter === to.filter) return said("ports.own", { filter: from.filter });
  if (hasWire(doc, wire)) return said("ports.twice");
  const way = wayBetween(doc, to.filter, from.filter);
  return way ? said("ports.cycle", { way: [...way, to.filter].join(" → ") }) : null;
}

/** The reason why nothing can be wired between two ports that were joined by hand, or the wire, whichever was first. */
export function wireBetween(doc: GraphDoc, catalogue: Catalogue, one: Port, other: Port): Wire | Said {
  if (one.side === other.side) return said(`ports.both.${one.side}`);
  const wire = one.side === "output" ? wireOf(one, other) : wireOf(other, one);
  return whyNot(doc, catalogue, wire) ?? wire;
}

/** The ports of other filters that fit, the nearest first. */
export function candidates(doc: GraphDoc, catalogue: Catalogue, port: Port): readonly Candidate[] {
  const behind = reached(doc, port.filter, port.side === "output" ? "back" : "on");
  return Object.keys(doc.nodes)
    .filter((name) => name !== port.filter && !behind.has(name))
    .sort((one, other) => distance(doc, port, one) - distance(doc, port, other) || byName(one, other))
    .flatMap((filter) => {
      const spec = specOf(catalogue, filterOf(doc, filter)?.component ?? "");
      if (!spec || spec.error) return [];
      const ports = port.side === "output" ? inputsOf(spec) : outputsOf(spec);
      return ports.flatMap((each): Candidate[] => {
        const end = { filter, port: each };
        const wire = port.side === "output" ? wireOf(port, end) : wireOf(end, port);
        const description = own(port.side === "output" ? spec.inputs : spec.outputs, each) ?? "";
        return hasWire(doc, wire) ? [] : [{ ...end, wire, description }];
      });
    });
}

/** The components that fit where a wire ends on the empty canvas, with the port that is then wired. */
export function newCandidates(catalogue: Catalogue, side: Side): readonly NewCandidate[] {
  return Object.values(catalogue).flatMap((spec) => {
    const port = side === "output" ? mainInput(spec) : mainOutput(spec);
    return spec.error || port === undefined ? [] : [{ component: spec.name, port, spec }];
  });
}

/** The ports through which a wire is led, when a component is dropped on it; or why it cannot be. */
export function spliceFit(spec: Spec | undefined): { readonly input: string; readonly output: string } | Said {
  if (!spec || spec.error) return said("ports.unknownComponent", { component: spec?.name ?? "" });
  const [input, output] = [mainInput(spec), mainOutput(spec)];
  if (input === undefined) return said("ports.noInput", { component: spec.name });
  return output === undefined ? said("ports.noOutput", { component: spec.name }) : { input, output };
}

/** As {@link spliceFit}, for a filter that is there: also where a way would lead back. */
export function spliceFilter(
  doc: GraphDoc,
  catalogue: Catalogue,
  wire: Wire,
  filter: string,
): { readonly input: string; readonly output: string } | Said {
  if (filtersOf(wire).includes(filter)) return said("ports.own", { filter });
  const ports = spliceFit(specOf(catalogue, filterOf(doc, filter)?.component ?? ""));
  if (!("input" in ports)) return ports;
  const without = { ...doc, wires: doc.wires.filter((each) => each !== wire) };
  const why = whyNot(without, catalogue, [wire[0], `${filter}.${ports.input}`]);
  return why ?? whyNot(without, catalogue, [`${filter}.${ports.output}`, wire[1]]) ?? ports;
}

/** The input that is meant where none is named. */
export function mainInput(spec: Spec): string | undefined {
  const ports = inputsOf(spec);
  return ports.includes("in") ? "in" : ports[0];
}

export function mainOutput(spec: Spec): string | undefined {
  const ports = outputsOf(spec).filter((port) => port !== ERROR_PORT);
  return ports.includes("out") ? "out" : ports[0];
}

/** The filters on a way along wires, or null. */
function wayBetween(doc: GraphDoc, from: string, to: string): readonly string[] | null {
  const before = new Map<string, string | null>([[from, null]]);
  const next = neighbours(doc, "on");
  for (const name of before.keys()) {
    for (const each of next.get(name) ?? []) if (!before.has(each)) before.set(each, name);
  }
  if (!before.has(to)) return null;
  const way: string[] = [];
  for (let name: string | null | undefined = to; name; name = before.get(name)) way.unshift(name);
  return way;
}

function reached(doc: GraphDoc, from: string, direction: "on" | "back"): ReadonlySet<string> {
  const found = new Set([from]);
  const next = neighbours(doc, direction);
  for (const name of found) for (const each of next.get(name) ?? []) found.add(each);
  found.delete(from);
  return found;
}

function neighbours(doc: GraphDoc, direction: "on" | "back"): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const wire of doc.wires) {
    const [from, to] = direction === "on" ? filtersOf(wire) : ([...filtersOf(wire)].reverse() as [string, string]);
    found.set(from, [...(found.get(from) ?? []), to]);
  }
  return found;
}

/** How far a filter is from a port; what lies against the direction of wires is farther. */
function distance(doc: GraphDoc, port: Port, filter: string): number {
  const [here, there]: (Place | undefined)[] = [own(doc.layout, port.filter), own(doc.layout, filter)];
  if (!here || !there) return Number.MAX_SAFE_INTEGER;
  const ahead = (there[0] - here[0]) * (port.side === "output" ? 1 : -1);
  return Math.hypot(ahead < 0 ? 3 * ahead : ahead, there[1] - here[1]);
}
