import type { Said } from "../../../model/json";
import { t } from "../../../texts";
import { tell } from "../../../texts/tell";

type Saying = (params: Said["params"]) => string;
const GESTURES: Readonly<Record<string, Saying>> = t.compose.gestures;
const GESTURE = /^gesture\./;

/** What a gesture is called, or what the model says. */
export function say(said: Said): string {
  const gesture = GESTURE.test(said.key) ? GESTURES[said.key.replace(GESTURE, "")] : undefined;
  return gesture ? gesture(said.params) : tell(said);
}
