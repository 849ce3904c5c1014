/** Random graphs and gestures; the same seed gives the same ones. */

import type { Change } from "../../src/model/change";
import { apply } from "../../src/model/change";
import { clipOf } from "../../src/model/clip";
import * as gestures from "../../src/model/gestures";
import { type GraphDoc, type Wire, emptyGraph, freeName } from "../../src/model/graph";
import { type Json, type Said, said } from "../../src/model/json";

export type Random = () => number;

/** Numbers from 0 to 1 (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function pick<T>(random: Random, from: readonly T[]): T | undefined {
  return from[Math.floor(random() * from.length)];
}

const COMPONENTS = ["JSON", "NormalizeCase", "Route", "JSONLines", "HTML", "Batch"];
const VALUES: readonly Json[] = [1, 2.5, "text", "${TOKEN}", true, null, ["a", "b"], { de: "ja", en: "yes" }, [], {}, ""];
const OUTPUTS = ["out", "out2", "error"];

/** A graph of some filters, made by gestures. */
export function graph(random: Random, size = 8): GraphDoc {
  let doc = emptyGraph("random");
  for (let index = 0; index < size; index++) doc = apply(doc, add(random, doc, "")).doc;
  for (let index = 0; index < size * 2; index++) doc = apply(doc, gesture(random, doc).changes).doc;
  return doc;
}

function add(random: Random, doc: GraphDoc, mark: string): readonly Change[] {
  const component = pick(random, COMPONENTS) ?? "JSON";
  const before = pick(random, Object.keys(doc.nodes));
  return gestures.addFilter(doc, {
    component,
    name: freeName(doc, `${component.toLowerCase()}${mark}`),
    at: [random() * 1000, random() * 600],
    ...(before === undefined ? {} : { from: { end: { filter: before, port: pick(random, OUTPUTS) ?? "out" }, port: "in" } }),
  }).changes;
}

/** One of all gestures; `mark` makes what is new unlike what others make. */
export function gesture(random: Random, doc: GraphDoc, mark = ""): { what: Said; changes: readonly Change[] } {
  const name = pick(random, Object.keys(doc.nodes));
  const other = pick(random, Object.keys(doc.nodes));
  const wire = pick(random, doc.wires);
  const test = pick(random, doc.tests);
  const comment = pick(random, Object.keys(doc.comments));
  const value = pick(random, VALUES) ?? 0;
  const text = `${mark}${Math.floor(random() * 1000)}`;
  const place = (): readonly [number, number] => [Math.round(random() * 900), Math.round(random() * 900)];
  const route = pick(random, doc.routes);
  const make: Record<string, () => readonly Change[] | undefined> = {
    add: () => add(random, doc, mark),
    remove: () => (name && gestures.removeItems(doc, { filters: [name] })) || undefined,
    removeTwo: () =>
      (name &&
        other &&
        gestures.removeItems(doc, {
          filters: [...new Set([name, other])],
          wires: wire ? [wire] : [],
          comments: comment ? [comment] : [],
        })) ||
      undefined,
    heal: () => (name ? gestures.removeAndHeal(doc, name) : undefined),
    rename: () => (name ? gestures.renameFilter(name, freeName(doc, `n${text}`)) : undefined),
    param: () => (name ? gestures.setParam(doc, name, [pick(random, ["fields", "size", "rules"]) ?? ""], value) : undefined),
    deepParam: () => (name ? gestures.setParam(doc, name, ["options", "deep", text.slice(-1)], value) : undefined),
    noParam: () => (name ? gestures.unsetParam(name, [pick(random, ["fields", "size", "rules"]) ?? ""]) : undefined),
    option: () => (name ? gestures.setOption(name, "timeout_s", random() < 0.3 ? undefined : random()) : undefined),
    component: () => (name ? gestures.setOption(name, "component", pick(random, COMPONENTS) ?? "") : undefined),
    wire: () => (name && other ? [gestures.addWire([`${name}.out`, `${other}.in`])] : undefined),
    unwire: () => (wire ? [gestures.removeWire(wire)] : undefined),
    reconnect: () => (wire && name ? gestures.reconnect(wire, [wire[0], `${name}.in2`]) : undefined),
    splice: () => (wire && name ? gestures.splice(wire, name, { input: "in", output: "out" }) : undefined),
    insert: () =>
      wire
        ? gestures.insert(doc, wire, { component: "Batch", name: `batch${mark}`, input: "in", output: "out", at: place() })
            .changes
        : undefined,
    move: () => (name && other ? gestures.move(doc, { filters: { [name]: place(), [other]: place() } }) : undefined),
    route: () => gestures.addRoute(`r${text}`),
    noRoute: () => (route ? gestures.removeRoute(route) : undefined),
    key: () => gestures.setKey(pick(random, ["description", "schedule", "limits"]) ?? "", random() < 0.3 ? undefined : text),
    test: () =>
      gestures.addTest(doc, {
        name: `t${text}`,
        expect: [{ node: name ?? "gone", packets: 1 }],
        failed: [{ filter: other ?? "gone" }],
      }).changes,
    setTest: () => (test ? gestures.setTest(String(test["name"]), { ...test, dropped: random() }) : undefined),
    renameTest: () =>
      test
        ? gestures.setTest(String(test["name"]), { ...test, name: `again ${text} ${doc.tests.length}${random()}` })
        : undefined,
    noTest: () => (test ? gestures.removeTest(String(test["name"])) : undefined),
    comment: () => gestures.addComment({ text, at: place() }).changes,
    setComment: () => (comment ? gestures.setComment(comment, { text, at: place(), size: place() }) : undefined),
    noComment: () => (comment ? gestures.removeComment(comment) : undefined),
    paste: () =>
      name && other
        ? gestures.paste(doc, clipOf(doc, { filters: [name, other], comments: comment ? [comment] : [] })).changes
        : undefined,
    dangling: () =>
      random() < 0.2 && !mark
        ? [{ do: "wire", wire: [`${name ?? "x"}.out`, `n${Math.floor(random() * 9)}.in`] as Wire, loose: true } as const]
        : undefined,
  };
  for (;;) {
    const what = pick(random, Object.keys(make)) ?? "";
    const changes = make[what]?.();
    if (changes) return { what: said(`gesture.${what}`), changes };
  }
}
