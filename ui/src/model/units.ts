/** Numbers with units: `64 MiB`, `2 h`. They are stored in bytes and seconds. */

export type Unit = "seconds" | "bytes" | "characters" | "perSecond" | "perMinute" | "perDay";

const SUFFIXES: readonly (readonly [RegExp, Unit])[] = [
  [/(^|_)per_s$/, "perSecond"],
  [/(^|_)per_minute$/, "perMinute"],
  [/(^|_)per_day$/, "perDay"],
  [/_s$/, "seconds"],
  [/(^|_)bytes$/, "bytes"],
  [/(^|_)chars$/, "characters"],
];

/** The largest first. */
const TIMES: readonly (readonly [string, number])[] = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
  ["ms", 0.001],
];
const SIZES: readonly (readonly [string, number])[] = [
  ["TiB", 2 ** 40],
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
  ["B", 1],
];

/** The unit of a parameter, which its name tells. */
export function unitOf(name: string): Unit | undefined {
  return SUFFIXES.find(([suffix]) => suffix.test(name))?.[1];
}

/** The number that was typed, with or without its unit; null if it is none. */
export function read(text: string, unit?: Unit): number | null {
  const [, digits = "", letters = ""] = /^([-+]?[\d.]+(?:e[-+]?\d+)?)\s*([A-Za-z]*)$/i.exec(text.trim()) ?? [];
  const number = digits === "" ? Number.NaN : Number(digits);
  if (!Number.isFinite(number)) return null;
  if (!letters) return number;
  const factor = scaleOf(unit).find(([name]) => names(name).includes(letters.toLowerCase()))?.[1];
  return factor === undefined ? null : Number((number * factor).toPrecision(15));
}

/** A number with the largest unit in which it is whole. */
export function write(value: number, unit?: Unit): string {
  if (value === 0) return "0";
  const fitting = scaleOf(unit).find(
    ([name, factor]) => factor >= 1 && name !== "B" && name !== "s" && Number.isInteger(value / factor),
  );
  return fitting ? `${value / fitting[1]} ${fitting[0]}` : String(value);
}

function scaleOf(unit: Unit | undefined): readonly (readonly [string, number])[] {
  return unit === "seconds" ? TIMES : unit === "bytes" ? SIZES : [];
}

/** How a unit may be written, in small letters. */
function names(unit: string): readonly string[] {
  const small = unit.toLowerCase();
  return small === "min" ? ["min", "m"] : small.endsWith("ib") ? [small, small.replace("ib", "b"), small.charAt(0)] : [small];
}
