/** The texts of the language of whoever looks; another one is chosen with a reload, so that nothing is in two languages. */

import { en, type Texts } from "./en";
import { type ModelTexts, modelEn } from "./model.en";

const LANGUAGES = ["en", "de"];
const KEPT = "pypes.language";

function chosen(): string {
  const wanted = [localStorage.getItem(KEPT) ?? "", ...navigator.languages].map((each) => each.slice(0, 2).toLowerCase());
  return wanted.find((each) => LANGUAGES.includes(each)) ?? "en";
}

export const language: string = chosen();
const german = language === "de" ? await import("./german.js") : null;
export const t: Texts = german?.de ?? en;
/** What the model says. */
export const modelTexts: ModelTexts = german?.modelDe ?? modelEn;

export function speak(next: string): void {
  localStorage.setItem(KEPT, next);
  location.reload();
}
