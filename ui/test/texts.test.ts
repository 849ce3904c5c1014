import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { said } from "../src/model/json";
import { de } from "../src/texts/de";
import { en } from "../src/texts/en";
import { filled } from "../src/texts/filled";

// from where the bundle is made, beside these folders
const MODEL = fileURLToPath(new URL("../src/model", import.meta.url));
const KEYS = Object.keys(en.model) as (keyof typeof en.model)[];

/** The keys in the sources as patterns: what is put into them may be anything. */
function saidKeys(): RegExp[] {
  const sources = readdirSync(MODEL).map((name) => readFileSync(join(MODEL, name), "utf8"));
  const found = sources.flatMap((source) => [...source.matchAll(/\b(?:said|problem)\(\s*(?:"([^"]+)"|`([^$`]+)\$)/g)]);
  return found.map(([, whole, start]) => new RegExp(whole ? `^${whole}$` : `^${start ?? ""}`));
}

test("all that the model says has a text, and no text is left over", () => {
  const patterns = saidKeys();
  assert.ok(patterns.length > 30);
  for (const pattern of patterns) assert.ok(KEYS.some((key) => pattern.test(key)), String(pattern));
  for (const key of KEYS) assert.ok(patterns.some((pattern) => pattern.test(key)), key);
});

test("texts name the same in both languages", () => {
  const names = (text: string): string[] => [...text.matchAll(/(?<!\$)\{\w+\}/g)].map(([name]) => name).sort();
  for (const key of KEYS) assert.deepEqual(names(de.model[key]), names(en.model[key]), key);
});

test("a text is filled with what is said, which is taken as it is", () => {
  assert.equal(filled(en.model, said("ports.own", { filter: "$& {x}" })), "$& {x} cannot feed itself.");
  assert.match(filled(en.model, said("schema.hidden")), /\$\{NAME\}/);
  assert.equal(filled(en.model, said("constructor")), "constructor");
});

/** All texts of a language, each with its place; those that count are asked with one of everything. */
function asked(texts: object, place = ""): [string, string][] {
  return Object.entries(texts).flatMap(([name, value]: [string, unknown]): [string, string][] => {
    const at = place ? `${place}.${name}` : name;
    if (typeof value === "string") return [[at, value]];
    if (typeof value === "object" && value !== null) return asked(value, at);
    if (typeof value !== "function") return [];
    const say = value as (...given: unknown[]) => string;
    // gestures take an object
    return say.length === 0 ? [] : [[at, String(say(1, 1, 1, 1))]];
  });
}

test("one of a thing is told as one, in each language", () => {
  const wrong: [object, RegExp][] = [
    [en, /\b1 (?:dead )?(?:packets|documents|deliveries|letters|failures|attempts|hits|problems|changes|filters|components|characters|instances|entries|tests|are|were|wait|come|become)\b/],
    [de, /\b1 (?:Dead )?(?:Pakete|Dokumente|Dokumenten|Lieferungen|Versuche|Probleme|Instanzen|Tests|Letters|sind|wurden|warten|kamen|kommen|fehlen|bleiben)\b/],
  ];
  for (const [texts, pattern] of wrong) assert.deepEqual(asked(texts).filter(([, text]) => pattern.test(text)), []);
});

test("German speaks to people in one way, and has one word for a thing", () => {
  const wrong = /\b(?:[Dd]u|[Dd]eine?[nrms]?|[Dd]ich|[Dd]ir)\b|eingesetzt|[Ee]insetzen|bereitgestellt|unzustellbar|gescheiterten Dokumente/;
  assert.deepEqual(asked(de).filter(([, text]) => wrong.test(text)), []);
});
