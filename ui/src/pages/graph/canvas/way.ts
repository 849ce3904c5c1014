/** Where the arrow keys lead from one filter to the next. */

import { type GraphDoc, type Place, filtersOf } from "../../../model/graph";

export const ARROWS: Readonly<Record<string, Place>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** What lies aside is farther than it looks. */
const ASIDE = 3;
/** So much nearer is a filter to which a wire leads. */
const WIRED = 0.2;

/** The nearest filter in a direction, along a wire if there is one; undefined: there is none. */
export function nextFilter(graph: GraphDoc, places: ReadonlyMap<string, Place>, from: string, [dx, dy]: Place): string | undefined {
  const here = places.get(from);
  if (!here) return undefined;
  const near = new Set(graph.wires.map(filtersOf).flatMap(([a, b]) => (a === from ? [b] : b === from ? [a] : [])));
  let best: string | undefined;
  let least = Infinity;
  for (const [name, there] of places) {
    const [x, y] = [there[0] - here[0], there[1] - here[1]];
    const ahead = x * dx + y * dy;
    if (name === from || ahead <= 0) continue;
    const distance = (ahead + ASIDE * Math.abs(x * dy + y * dx)) * (near.has(name) ? WIRED : 1);
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}
