import assert from "node:assert/strict";
import { test } from "node:test";
import { type GraphDoc, type Wire, readGraph } from "../../src/model/graph";
import { isSaid } from "../../src/model/json";
import {
  type Catalogue,
  type Spec,
  candidates,
  inputsOf,
  newCandidates,
  outputsOf,
  portsOf,
  spliceFilter,
  spliceFit,
  whyNot,
  wireBetween,
} from "../../src/model/ports";

function spec(
  name: string,
  kind: string,
  inputs: readonly string[],
  outputs: readonly string[],
  more: Partial<Spec> = {},
): Spec {
  const map = (ports: readonly string[]): Record<string, string> =>
    Object.fromEntries(ports.map((port) => [port, `the port ${port}`]));
  return { name, kind, doc: "", inputs: map(inputs), outputs: map(outputs), schema: {}, ...more };
}

const CATALOGUE: Catalogue = {
  JSON: spec("JSON", "ADAPTER", ["in"], ["out"]),
  Files: spec("Files", "ADAPTER", ["in"], ["out"], { fetches: true }),
  Route: spec("Route", "OPERATOR", ["in"], ["else", "out1", "out10", "out2"]),
  Merge: spec("Merge", "OPERATOR", ["in", "in2"], ["out"]),
  Null: spec("Null", "PUBLISHER", ["in"], []),
  Broken: spec("Broken", "FILTER", [], [], { error: "no module" }),
};

function flow(): GraphDoc {
  return readGraph({
    nodes: {
      json: { component: "JSON" },
      route: { component: "Route" },
      merge: { component: "Merge" },
      end: { component: "Null" },
      files: { component: "Files" },
      odd: { component: "Gone" },
    },
    wires: [
      ["json.out", "route.in"],
      ["route.out1", "merge.in"],
      ["odd.left", "end.in"],
    ],
    layout: { json: [0, 0], route: [200, 0], merge: [400, 0], end: [600, 0] },
  }).doc;
}

const why = (from: string, to: string): string | undefined => whyNot(flow(), CATALOGUE, [from, to])?.key;

test("why a wire cannot be", () => {
  assert.equal(why("route.out2", "end.in"), undefined);
  assert.equal(why("route.error", "end.in"), undefined);
  assert.equal(why("merge.out", "merge.in2"), "ports.own");
  assert.equal(why("json.out", "route.in"), "ports.twice");
  assert.equal(why("json.out", "nobody.in"), "ports.noFilter");
  assert.equal(why("json.out", "odd.in"), "ports.unknown");
  assert.equal(why("json.out2", "end.in"), "ports.no.output");
  assert.equal(why("json.out", "end.in2"), "ports.no.input");
  assert.equal(why("end.error", "merge.in2"), undefined);
  assert.equal(why("route.else", "files.in"), "ports.source");
  const cycle = whyNot(flow(), CATALOGUE, ["merge.out", "json.in"]);
  assert.deepEqual(cycle, { key: "ports.cycle", params: { way: "json → route → merge → json" } });
});

test("a wire may be drawn from either end, between an output and an input", () => {
  const output = { filter: "route", port: "out2", side: "output" } as const;
  const input = { filter: "end", port: "in", side: "input" } as const;
  const wire: Wire = ["route.out2", "end.in"];
  assert.deepEqual(
    [wireBetween(flow(), CATALOGUE, output, input), wireBetween(flow(), CATALOGUE, input, output)],
    [wire, wire],
  );
  const two = wireBetween(flow(), CATALOGUE, output, { ...output, filter: "json", port: "out" });
  assert.ok(isSaid(two) && two.key === "ports.both.output");
});

test("ports in their order, and those that are wired of a component that is not there", () => {
  assert.deepEqual(outputsOf(CATALOGUE["Route"] as Spec), ["out1", "out2", "out10", "else", "error"]);
  assert.deepEqual(inputsOf(CATALOGUE["Files"] as Spec), []);
  assert.deepEqual(portsOf(flow(), CATALOGUE, "odd"), { inputs: [], outputs: ["left"] });
  assert.deepEqual(portsOf(flow(), CATALOGUE, "merge"), { inputs: ["in", "in2"], outputs: ["out", "error"] });
});

test("candidates are those that fit, the nearest first", () => {
  const found = candidates(flow(), CATALOGUE, { filter: "route", port: "out2", side: "output" });
  assert.deepEqual(
    found.map(({ filter, port }) => `${filter}.${port}`),
    ["merge.in", "merge.in2", "end.in"],
  );
  assert.equal(found[0]?.description, "the port in");
  for (const { wire } of found) assert.equal(whyNot(flow(), CATALOGUE, wire), null);
  const back = candidates(flow(), CATALOGUE, { filter: "merge", port: "in2", side: "input" });
  assert.deepEqual(back.map(({ wire }) => wire[0]).slice(0, 3), ["route.out1", "route.out2", "route.out10"]);
  for (const { wire } of back) assert.equal(whyNot(flow(), CATALOGUE, wire), null);
});

test("components for a wire that ends nowhere, or that one is dropped on", () => {
  assert.deepEqual(
    newCandidates(CATALOGUE, "output").map(({ component, port }) => `${component}.${port}`),
    ["JSON.in", "Route.in", "Merge.in", "Null.in"],
  );
  assert.deepEqual(
    newCandidates(CATALOGUE, "input").map(({ component, port }) => `${component}.${port}`),
    ["JSON.out", "Files.out", "Route.out1", "Merge.out"],
  );
  assert.deepEqual(spliceFit(CATALOGUE["Merge"]), { input: "in", output: "out" });
  const refused = [CATALOGUE["Null"], CATALOGUE["Files"], CATALOGUE["Broken"], undefined].map((each) => spliceFit(each));
  assert.deepEqual(
    refused.map((each) => isSaid(each) && each.key),
    ["ports.noOutput", "ports.noInput", "ports.unknownComponent", "ports.unknownComponent"],
  );
  const wire: Wire = ["json.out", "route.in"];
  assert.ok(isSaid(spliceFilter(flow(), CATALOGUE, wire, "json")));
  assert.equal((spliceFilter(flow(), CATALOGUE, wire, "merge") as { key: string }).key, "ports.cycle");
  assert.deepEqual(spliceFilter(flow(), CATALOGUE, ["route.out1", "merge.in"], "route"), {
    key: "ports.own",
    params: { filter: "route" },
  });
});
