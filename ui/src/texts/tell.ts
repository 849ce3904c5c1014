import type { Said } from "../model/json";
import { language } from ".";
import { filled } from "./filled";
import { modelDe } from "./model.de";
import { modelEn } from "./model.en";

/** What the model says, in the language of whoever looks. */
export function tell(said: Said): string {
  return filled(language === "de" ? modelDe : modelEn, said);
}
