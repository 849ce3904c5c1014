import type { Said } from "../model/json";
import { t } from ".";
import { filled } from "./filled";

/** What the model says, in the language of whoever looks. */
export function tell(said: Said): string {
  return filled(t.model, said);
}
