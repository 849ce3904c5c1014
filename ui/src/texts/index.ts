/** The texts of the language of whoever looks; another one is chosen with a reload, so that nothing is in two languages. */

import { en, type Texts } from "./en";
import { oneWay } from "./filled";

const LANGUAGES = ["en", "de"];
const KEPT = "pypes.language";

function chosen(): string {
  const wanted = [localStorage.getItem(KEPT) ?? "", ...navigator.languages].map((each) => each.slice(0, 2).toLowerCase());
  return wanted.find((each) => LANGUAGES.includes(each)) ?? "en";
}

export const language: string = chosen();
const german = language === "de" ? await import("./de.js") : null;

/** The texts, with what is put into them by {@link oneWay}. */
function safe(texts: unknown): unknown {
  if (typeof texts === "function") return (...given: unknown[]): unknown => texts(...given.map((each) => (typeof each === "string" ? oneWay(each) : each)));
  if (Array.isArray(texts)) return texts.map(safe);
  return typeof texts === "object" && texts !== null ? Object.fromEntries(Object.entries(texts).map(([name, each]) => [name, safe(each)])) : texts;
}

export const t = safe(german?.de ?? en) as Texts;

export function speak(next: string): void {
  localStorage.setItem(KEPT, next);
  location.reload();
}
