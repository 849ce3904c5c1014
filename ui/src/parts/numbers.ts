/** Numbers as people read them, in their language. */

import { language } from "../texts";

const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat(language, { maximumSignificantDigits: 3, notation: "compact" });
const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
/** From here on a number is written as 12K. */
const LARGE = 10_000;
const LEAST = 0.1;

export const count = (value: number): string => whole.format(value);

/** A number in few characters: 0.3, 12, 4,567, 12.3K. */
export function brief(value: number): string {
  if (value >= LARGE) return compact.format(value);
  if (value >= 10) return whole.format(value);
  return value > 0 && value < LEAST ? `<${tenths.format(LEAST)}` : tenths.format(value);
}

export const rate = (perSecond: number): string => `${brief(perSecond)}/s`;

export const share = (part: number): string => (part > 0 && part < 0.01 ? `<${percent.format(0.01)}` : percent.format(part));

const LENGTHS: readonly (readonly [number, string])[] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
];

/** A length of time, given in seconds. */
export function seconds(value: number): string {
  if (value <= 0) return "0 s";
  // up to two of a unit are told in the one below
  const [length, unit] = LENGTHS.find(([each]) => value >= (each > 1 ? 2 * each : each)) ?? [1e-6, "µs"];
  return `${value >= 1 ? whole.format(value / length) : short.format(value / length)} ${unit}`;
}

const SIZES = ["B", "KB", "MB", "GB", "TB", "PB"];

export function bytes(value: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), SIZES.length - 1);
  return `${short.format(value / 1000 ** power)} ${SIZES[power]}`;
}
