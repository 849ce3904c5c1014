/** The way of a document through a graph, as far as its end tells of it. */

/** The filters that lead to one of `ends`, and these, each after those before it; `wires` are pairs such as `json.out`, `drop.in`. */
export function wayTo(ends: readonly string[], wires: readonly (readonly [string, string])[]): readonly string[] {
  const filterOf = (port: string): string => port.slice(0, port.lastIndexOf("."));
  const before = new Map<string, string[]>();
  for (const [from, to] of wires) before.set(filterOf(to), [...(before.get(filterOf(to)) ?? []), filterOf(from)]);
  const found: string[] = [];
  const seen = new Set<string>();
  const visit = (filter: string): void => {
    if (seen.has(filter)) return;
    seen.add(filter);
    for (const each of before.get(filter) ?? []) visit(each);
    found.push(filter);
  };
  ends.forEach(visit);
  return found;
}
