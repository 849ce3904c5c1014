/** Times as people read them, in their language. */

import { language } from "../texts";

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
const whole = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });

/** How long ago: "3 min. ago". */
export function ago(time: string, now = Date.now()): string {
  const seconds = Math.max((now - Date.parse(time)) / 1000, 0);
  const [unit, length] = STEPS.find(([, each]) => seconds >= each) ?? (["second", 1] as const);
  return relative.format(-Math.floor(seconds / length), unit);
}

/** Day and time, in the zone of whoever looks. */
export const moment = (time: string): string => whole.format(new Date(time));

const number = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });

/** A duration that is given in milliseconds. */
export function duration(ms: number): string {
  if (ms < 1000) return `${number.format(ms)} ms`;
  return ms < 120_000 ? `${number.format(ms / 1000)} s` : `${number.format(Math.round(ms / 60_000))} min`;
}
