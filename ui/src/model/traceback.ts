/** Where a component failed, as its traceback tells. */

export interface Failing {
  readonly file: string;
  readonly line: number;
  readonly within: string;
  /** The line of source; empty where it is not known. */
  readonly source: string;
}

const FRAME = /^ {2}File "(.*)", line (\d+), in (.*)$/;

/** The last line of the component's source that a traceback names: there it failed. */
export function failingLine(traceback: string): Failing | undefined {
  const lines = traceback.split("\n");
  for (let at = lines.length - 1; at >= 0; at--) {
    const found = FRAME.exec(lines[at] ?? "");
    if (!found) continue;
    const next = lines[at + 1] ?? "";
    return { file: found[1] ?? "", line: Number(found[2]), within: found[3] ?? "", source: next.startsWith("    ") ? next.trim() : "" };
  }
  return undefined;
}
