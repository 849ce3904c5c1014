/**
 * Merging what others saved with one's own changes: three ways, filter by filter, parameter by parameter, wire by wire.
 *
 * It works on identities in place of names (`identity.ts`), so that a filter that one side renamed is the same for the other.
 * Where both sides cannot be had, the result has the saved one, and the conflict says what there is to choose.
 */

import { type Change, testWith } from "./change";
import { removeItems } from "./gestures";
import {
  type FilterDoc,
  type GraphDoc,
  type Place,
  type Wire,
  filterOf,
  filtersOf,
  freeName,
  otherKeys,
  rewired,
  sortedSet,
  sortedWires,
  testName,
  wireKey,
} from "./graph";
import { type Threefold, identify, named } from "./identity";
import { type Json, type JsonObject, type Said, equal, isObject, own, said } from "./json";

export type Side = "saved" | "mine";

export interface Conflict {
  /** Tells it from the others of its merge. */
  readonly id: string;
  readonly what: "filter" | "name" | "component" | "param" | "option" | "field" | "test" | "comment";
  readonly where: { readonly filter?: string; readonly key?: string };
  /** The values; undefined where there is none. Of a filter, a {@link KeptFilter}. */
  readonly base: Json | undefined;
  readonly saved: Json | undefined;
  readonly mine: Json | undefined;
  readonly why: Said;
  /** Where such a value stands in the graph. */
  readonly path: readonly string[];
  /** The uid of the filter, which may be called otherwise by the time a side is chosen. */
  readonly uid?: string;
}

/** A filter that one side removed, with what would come back with it. */
export interface KeptFilter {
  readonly node: FilterDoc;
  readonly wires: readonly Wire[];
  readonly at: Json;
}

export interface Merged {
  readonly doc: GraphDoc;
  readonly conflicts: readonly Conflict[];
  /** Filters of mine that are called otherwise now, by their names in mine. */
  readonly renamed: Readonly<Record<string, string>>;
}

/** The values of one thing in the three versions. */
interface Three<T> {
  readonly base: T | undefined;
  readonly saved: T | undefined;
  readonly mine: T | undefined;
}

export function merge(base: GraphDoc, saved: GraphDoc, mine: GraphDoc): Merged {
  return new Merge(base, saved, mine).result();
}

/** Changes that make a conflict end as chosen. */
export function resolve(doc: GraphDoc, conflict: Conflict, side: Side): readonly Change[] {
  const value = conflict[side];
  const { what, where, uid } = conflict;
  const known = uid === undefined ? undefined : Object.keys(doc.nodes).find((name) => doc.nodes[name]?.uid === uid);
  const filter = known ?? where.filter ?? "";
  const path = where.filter === undefined ? conflict.path : conflict.path.map((key, index) => (index === 1 ? filter : key));
  switch (what) {
    case "filter":
      return value === undefined ? removeItems(doc, { filters: [filter] }) : restore(doc, filter, value);
    case "name":
      return [{ do: "rename", from: filter, to: String(value) }];
    case "test":
      return [isObject(value) ? { do: "test", name: where.key ?? "", test: value } : { do: "untest", name: where.key ?? "" }];
    default:
      return [value === undefined ? { do: "unset", path } : { do: "set", path, value }];
  }
}

function restore(doc: GraphDoc, filter: string, value: Json): readonly Change[] {
  const { node, wires, at } = value as unknown as KeptFilter;
  const there = filterOf(doc, filter);
  const name = there && there.uid !== node.uid ? freeName(doc, filter) : filter;
  const ends = wires.map((wire) => rewired(wire, (each) => (each === filter ? name : each)));
  return [
    { do: "set", path: ["nodes", name], value: node },
    ...(at === null ? [] : [{ do: "set", path: ["layout", name], value: at } as const]),
    ...ends
      .filter((wire) => filtersOf(wire).every((each) => each === name || filterOf(doc, each) !== undefined))
      .map((wire): Change => ({ do: "wire", wire })),
  ];
}

/** The value that both sides lead to: the one that is not as before. Undefined is a value: removed. */
function choose<T>({ base, saved, mine }: Three<T>, clash: (values: Three<T>) => void): T | undefined {
  if (equal(saved, mine) || equal(mine, base)) return saved;
  if (!equal(saved, base)) clash({ base, saved, mine });
  return equal(saved, base) ? mine : saved;
}

/** As `choose`, for each key. */
function chooseKeys(three: Three<JsonObject>, clash: (key: string, values: Three<Json>) => void): JsonObject {
  const keys = new Set([three.saved, three.mine].flatMap((side) => Object.keys(side ?? {})));
  return Object.fromEntries(
    [...keys].flatMap((key) => {
      const value = choose(each(three, key), (values) => clash(key, values));
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

function each<T>(three: Three<Readonly<Record<string, T>>>, key: string): Three<T> {
  const of = (side: Readonly<Record<string, T>> | undefined): T | undefined => side && own(side, key);
  return { base: of(three.base), saved: of(three.saved), mine: of(three.mine) };
}

/** What is in both, or new in one. */
function chooseMembers(base: readonly string[], saved: readonly string[], mine: readonly string[]): string[] {
  return [...new Set([...saved, ...mine])].filter((item) =>
    base.includes(item) ? saved.includes(item) && mine.includes(item) : true,
  );
}

class Merge {
  private readonly ids: Threefold;
  /** The versions with identities in place of names. */
  private readonly base: GraphDoc;
  private readonly saved: GraphDoc;
  private readonly mine: GraphDoc;
  /** The names of filters in the result, and of those that are gone their last ones. */
  private readonly names = new Map<string, string>();
  private readonly conflicts: Conflict[] = [];

  constructor(
    base: GraphDoc,
    private readonly theirs: GraphDoc,
    private readonly ours: GraphDoc,
  ) {
    this.ids = identify(base, theirs, ours);
    this.base = named(base, this.ids.base);
    this.saved = named(theirs, this.ids.saved);
    this.mine = named(ours, this.ids.mine);
  }

  result(): Merged {
    const kept = this.filters();
    const wires = this.wires(kept);
    this.nameAll(kept);
    const nodes = Object.fromEntries([...kept].map((id) => [this.name(id), this.filter(id)]));
    for (const id of this.removedOnce()) this.clashOfRemoval(id);
    const doc: GraphDoc = {
      ...this.others(),
      pypes: Math.max(this.saved.pypes, this.mine.pypes),
      name: this.saved.name,
      nodes,
      wires: sortedWires(wires.map((wire) => this.rewired(wire))),
      routes: sortedSet(chooseMembers(this.base.routes, this.saved.routes, this.mine.routes)),
      inherit: sortedSet(chooseMembers(this.base.inherit, this.saved.inherit, this.mine.inherit)),
      layout: Object.fromEntries(
        [...kept].flatMap((id) => {
          const place = this.place(id);
          return place === undefined ? [] : [[this.name(id), place]];
        }),
      ),
      comments: this.comments(),
      tests: this.tests(),
    };
    const moved = [...this.ids.mine].filter(([name, id]) => kept.has(id) && this.name(id) !== name);
    return { doc, conflicts: this.conflicts, renamed: Object.fromEntries(moved.map(([name, id]) => [name, this.name(id)])) };
  }

  private three<K extends "nodes" | "layout" | "comments">(key: K): Three<GraphDoc[K]> {
    return { base: this.base[key], saved: this.saved[key], mine: this.mine[key] };
  }

  private name(id: string): string {
    return this.names.get(id) ?? id.replace(/^\?/, "");
  }

  private rewired(wire: Wire): Wire {
    return rewired(wire, (id) => this.name(id));
  }

  private clash(
    what: Conflict["what"],
    where: Conflict["where"],
    path: readonly string[],
    values: Three<Json>,
    uid?: string,
  ): void {
    const side = values.saved === undefined ? "Saved" : values.mine === undefined ? "Mine" : "";
    this.conflicts.push({
      id: `${what} ${[where.filter ?? "", where.key ?? ""].join(" ")}`,
      what,
      where,
      path,
      ...values,
      why: said(`conflict.${what}${side && `.removed${side}`}`, { ...where }),
      ...(uid === undefined ? {} : { uid }),
    });
  }

  // -- filters -------------------------------------------------------------------------------------------

  /** The filters of the result: those of both sides, those that are new, and those that the saved side has and changed. */
  private filters(): ReadonlySet<string> {
    const found = new Set<string>();
    for (const id of new Set([...Object.keys(this.saved.nodes), ...Object.keys(this.mine.nodes)])) {
      const { base, saved, mine } = each(this.three("nodes"), id);
      if ((saved && mine) || !base || (saved && this.isTouched("saved", id))) found.add(id);
    }
    return found;
  }

  /** Filters that one side removed while the other changed them, or wired them anew. */
  private removedOnce(): readonly string[] {
    return Object.keys(this.base.nodes).filter((id) => {
      const { saved, mine } = each(this.three("nodes"), id);
      return (saved && !mine && this.isTouched("saved", id)) || (mine && !saved && this.isTouched("mine", id));
    });
  }

  private isTouched(side: Side, id: string): boolean {
    const before = new Set(wiresAt(this.base, id).map(wireKey));
    const isWired = wiresAt(this[side], id).some((wire) => !before.has(wireKey(wire)));
    const names = [this.ids.base, this.ids[side]].map((ids) => nameIn(ids, id));
    return isWired || names[0] !== names[1] || !equal(plain(own(this.base.nodes, id)), plain(own(this[side].nodes, id)));
  }

  private clashOfRemoval(id: string): void {
    const kept = (doc: GraphDoc): Json | undefined => {
      const node = own(doc.nodes, id);
      if (!node) return undefined;
      return {
        node,
        at: own(doc.layout, id) ?? null,
        wires: wiresAt(doc, id).map((wire) => this.rewired(wire)),
      } as unknown as Json;
    };
    const filter = this.name(id);
    this.clash("filter", { filter }, ["nodes", filter], {
      base: kept(this.base),
      saved: kept(this.saved),
      mine: kept(this.mine),
    });
  }

  private filter(id: string): FilterDoc {
    const three = each(this.three("nodes"), id);
    const { saved, mine } = three;
    const one = saved && mine ? null : (saved ?? mine);
    if (one) return one;
    const filter = this.name(id);
    const at = ["nodes", filter];
    const uid = choose({ base: three.base?.uid, saved: saved?.uid, mine: mine?.uid }, () => {});
    const parts = (side: FilterDoc | undefined): JsonObject | undefined => {
      if (!side) return undefined;
      const { params: _, uid: __, ...rest } = side;
      return rest as JsonObject;
    };
    const params = chooseKeys({ base: three.base?.params, saved: saved?.params, mine: mine?.params }, (key, values) =>
      this.clash("param", { filter, key }, [...at, "params", key], values, uid),
    );
    const rest = chooseKeys({ base: parts(three.base), saved: parts(saved), mine: parts(mine) }, (key, values) =>
      this.clash(key === "component" ? "component" : "option", { filter, key }, [...at, key], values, uid),
    );
    return { ...rest, component: String(rest["component"]), params, ...(uid === undefined ? {} : { uid }) };
  }

  /** Where a filter is drawn: where it was moved to last, which is in mine. */
  private place(id: string): Place | undefined {
    const { base, saved, mine } = each(this.three("layout"), id);
    return mine === undefined || equal(mine, base) ? saved : mine;
  }

  /** Give every filter its name: the one that a side changed it to. What is new in mine gives way where names meet. */
  private nameAll(kept: ReadonlySet<string>): void {
    const wanted = [...kept].map((id) => {
      const three: Three<string> = {
        base: nameIn(this.ids.base, id),
        saved: nameIn(this.ids.saved, id),
        mine: nameIn(this.ids.mine, id),
      };
      const isBoth = three.saved !== undefined && three.mine !== undefined;
      let clash: Three<string> | null = null;
      const name = isBoth ? choose(three, (values) => void (clash = values)) : (three.saved ?? three.mine);
      return { id, name: name ?? id, isSaved: name === three.saved, clash: clash as Three<string> | null };
    });
    const taken = new Set<string>();
    for (const { id, name } of [...wanted.filter((each) => each.isSaved), ...wanted.filter((each) => !each.isSaved)]) {
      const free = taken.has(name) ? freeName(this.ours, name, [...taken, ...Object.keys(this.theirs.nodes)]) : name;
      taken.add(free);
      this.names.set(id, free);
    }
    for (const { id, clash } of wanted)
      if (clash) this.clash("name", { filter: this.name(id) }, [], clash, own(this.saved.nodes, id)?.uid);
    for (const ids of [this.ids.saved, this.ids.mine, this.ids.base])
      for (const [name, id] of ids) if (!this.names.has(id)) this.names.set(id, name);
  }

  // -- wires ---------------------------------------------------------------------------------------------

  private wires(kept: ReadonlySet<string>): readonly Wire[] {
    const [base, saved, mine] = [this.base, this.saved, this.mine].map((doc) => new Set(doc.wires.map(wireKey))) as [
      Set<string>,
      Set<string>,
      Set<string>,
    ];
    // a filter that mine removed and the saved side keeps, keeps its wires
    const back = new Set([...kept].filter((id) => !own(this.mine.nodes, id) && own(this.base.nodes, id)));
    return sortedWires([...this.saved.wires, ...this.mine.wires]).filter((wire) => {
      const key = wireKey(wire);
      const ends = filtersOf(wire);
      if (ends.some((id) => !id.startsWith("?") && !kept.has(id))) return false;
      if (ends.some((id) => back.has(id))) return saved.has(key);
      return base.has(key) ? saved.has(key) && mine.has(key) : true;
    });
  }

  // -- all the rest --------------------------------------------------------------------------------------

  private others(): JsonObject {
    const three = { base: otherKeys(this.base), saved: otherKeys(this.saved), mine: otherKeys(this.mine) };
    const inner = new Map<string, JsonObject>();
    const found = chooseKeys(three, (key, values) => {
      if (!isObject(values.saved) || !isObject(values.mine)) return this.clash("field", { key }, [key], values);
      // both changed an object, such as limits: key by key again
      const base = isObject(values.base) ? values.base : {};
      const sides = { base, saved: values.saved, mine: values.mine };
      inner.set(
        key,
        chooseKeys(sides, (name, each) => this.clash("field", { key: `${key}.${name}` }, [key, name], each)),
      );
    });
    return { ...found, ...Object.fromEntries(inner) };
  }

  private comments(): GraphDoc["comments"] {
    const three = this.three("comments");
    const found = Object.keys({ ...three.saved, ...three.mine }).flatMap((id) => {
      const { base, saved, mine } = each(three, id);
      const text = choose({ base: base?.text, saved: saved?.text, mine: mine?.text }, () => {
        const values = { base, saved, mine } as unknown as Three<Json>;
        const isThere = saved && mine;
        const texts = { base: base?.text, saved: saved?.text, mine: mine?.text };
        this.clash("comment", { key: id }, isThere ? ["comments", id, "text"] : ["comments", id], isThere ? texts : values);
      });
      if (text === undefined) return [];
      const one = saved && mine ? (equal(mine.at, base?.at) && equal(mine.size, base?.size) ? saved : mine) : (saved ?? mine);
      return one ? [[id, { ...one, text }] as const] : [];
    });
    return Object.fromEntries(found);
  }

  private tests(): readonly JsonObject[] {
    // by the names of the result: a test that names a filter before there is one does not change when it is added
    const [base, saved, mine] = [this.base, this.saved, this.mine].map(({ tests }): JsonObject =>
      Object.fromEntries(tests.map((test) => [testName(test), testWith(test, (id) => this.name(id))])),
    ) as [JsonObject, JsonObject, JsonObject];
    const found = chooseKeys({ base, saved, mine }, (key, values) => this.clash("test", { key }, [], values));
    const [before, theirs, ours] = [base, saved, mine].map(Object.keys) as [string[], string[], string[]];
    const order = new Set(equal(before, theirs) ? [...ours, ...theirs] : [...theirs, ...ours]);
    return [...order].flatMap((name) => {
      const test = own(found, name);
      return isObject(test) ? [test] : [];
    });
  }
}

function wiresAt(doc: GraphDoc, id: string): readonly Wire[] {
  return doc.wires.filter((wire) => filtersOf(wire).includes(id));
}

function nameIn(ids: ReadonlyMap<string, string>, id: string): string | undefined {
  for (const [name, each] of ids) if (each === id) return name;
  return undefined;
}

function plain(node: FilterDoc | undefined): JsonObject | undefined {
  if (!node) return undefined;
  const { uid: _, ...rest } = node;
  return rest as JsonObject;
}
