/** What the model says, in words: without anything of a browser, for the tests of it. */

import type { Said } from "../model/json";
import type { Texts } from "./en";

/** A text of others as it stands in a sentence: without characters that would turn the direction of what follows. */
export const oneWay = (text: string): string => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, "");

/** The text of what is said; its key where there is none. */
export function filled(texts: Texts["model"], { key, params }: Said): string {
  const text: string = Object.hasOwn(texts, key) ? texts[key as keyof Texts["model"]] : key;
  return text.replace(/(?<!\$)\{(\w+)\}/g, (place, name: string) => (Object.hasOwn(params, name) ? oneWay(String(params[name])) : place));
}
