/** The texts of the language of whoever looks; another one is chosen with a reload, so that nothing is in two languages. */

import { de } from "./de";
import { en, type Texts } from "./en";

const LANGUAGES: Readonly<Record<string, Texts>> = { en, de };
const KEPT = "pypes.language";

function chosen(): string {
  const wanted = [localStorage.getItem(KEPT) ?? "", ...navigator.languages].map((each) => each.slice(0, 2).toLowerCase());
  return wanted.find((each) => each in LANGUAGES) ?? "en";
}

export const language: string = chosen();
export const t: Texts = LANGUAGES[language] ?? en;

export function speak(next: string): void {
  localStorage.setItem(KEPT, next);
  location.reload();
}
