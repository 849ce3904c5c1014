/** What can be done with a graph here, each by one call and one step to undo. What cannot be done says why. */

import { get, path } from "../../../api/http";
import { copy, readClip } from "../../../model/clip";
import { compositeOf, isNamed, takenApart } from "../../../model/composites";
import type { Change } from "../../../model/change";
import * as gestures from "../../../model/gestures";
import { type GraphDoc, type Place, type Wire, endOf, hasWire, wireKey } from "../../../model/graph";
import { type Json, type JsonObject, type Said, isSaid, own, said } from "../../../model/json";
import { type Catalogue, type Port, mainInput, mainOutput, spliceFilter, spliceFit, whyNot, wireBetween } from "../../../model/ports";
import { tidy } from "../../../model/tidy";
import { notify } from "../../../parts/Notices";
import { messageOf } from "../../../parts/Problem";
import { t } from "../../../texts";
import { say } from "./words";
import type { Gesture } from "../canvas/Canvas";
import { commentItem, itemsOf } from "../canvas/items";
import { cardsOf, commentSize, placesOf } from "../canvas/shape";
import type { Draft } from "./draft";
import type { View } from "./View";

export type Edge = "left" | "right" | "top" | "bottom" | "column" | "row";

const COMMENT = "comment:";
/** Room between two filters in a row, and in a column. */
const GAP: Place = [96, 32];
const EMPTY: ReadonlySet<string> = new Set();

interface Box {
  readonly at: Place;
  readonly size: Place;
}

export class Editing {
  constructor(
    readonly draft: Draft,
    readonly specs: Catalogue,
    readonly view: { readonly current: View | null },
    /** A wire was dropped on the empty canvas. */
    private readonly pickFor: (port: Port, at: Place) => void,
  ) {}

  get doc(): GraphDoc {
    return this.draft.state!.doc;
  }

  get chosen() {
    return itemsOf(this.doc, this.draft.state?.selected ?? EMPTY);
  }

  private tell(why: Said): void {
    notify({ text: say(why) });
  }

  private select(ids: readonly string[]): void {
    this.draft.select(new Set(ids));
    const [only] = ids;
    if (only !== undefined && ids.length === 1) this.view.current?.focus(only);
  }

  // -- filters -------------------------------------------------------------------------------------------

  /** Where everything is drawn, and how large. */
  private boxes(): ReadonlyMap<string, Box> {
    const names = Object.keys(this.doc.nodes);
    const cards = cardsOf(this.doc, this.specs, false);
    const places = placesOf(this.doc, this.specs, cards);
    const filters = names.map((name): [string, Box] => [name, { at: places.get(name) ?? [0, 0], size: [cards.get(name)?.width ?? 0, cards.get(name)?.height ?? 0] }]);
    const comments = Object.entries(this.doc.comments).map(([id, comment]): [string, Box] => [commentItem(id), { at: comment.at, size: commentSize(comment) }]);
    return new Map([...filters, ...comments]);
  }

  /** A place where nothing is: beside the filter that is chosen, or in the middle of what is seen. */
  freePlace(): Place {
    const { filters } = this.chosen;
    const beside = filters.length === 1 ? this.boxes().get(filters[0] ?? "") : undefined;
    const middle = this.view.current?.middle() ?? [0, 0];
    const [x, y] = beside ? [beside.at[0] + beside.size[0] + GAP[0], beside.at[1]] : [middle[0] - 104, middle[1] - 40];
    return this.freeFrom([x, y]);
  }

  /** This place, or the next one below it where nothing is. */
  private freeFrom([x, y]: Place): Place {
    const boxes = [...this.boxes().values()];
    const isFree = (top: number) =>
      boxes.every(({ at, size }) => x + 208 + 16 <= at[0] || x >= at[0] + size[0] + 16 || top + 80 + 16 <= at[1] || top >= at[1] + size[1] + 16);
    let top = y;
    while (!isFree(top)) top += 16;
    return [x, top];
  }

  add(component: string, at: Place = this.freePlace()): void {
    const { changes, name } = gestures.addFilter(this.doc, { component, at });
    if (this.draft.do(said("gesture.add", { filter: name }), changes)) this.select([name]);
  }

  /** Add a component where it was dropped: into the wire there, if one is. */
  drop(component: string, x: number, y: number): void {
    const at = this.view.current?.placeAt(x, y);
    if (!at) return;
    const key = this.view.current?.wireAt(x, y);
    const wire = this.doc.wires.find((each) => wireKey(each) === key);
    const corner: Place = [at[0] - 104, at[1] - 32];
    if (!wire) return this.add(component, this.freeFrom(corner));
    const fit = spliceFit(own(this.specs, component));
    if (isSaid(fit)) {
      this.tell(fit);
      return this.add(component, this.freeFrom([corner[0], corner[1] + 96]));
    }
    const { changes, name } = gestures.insert(this.doc, wire, { component, at: corner, ...fit });
    if (this.draft.do(said("gesture.insert", { filter: name, from: wire[0], to: wire[1] }), changes)) this.select([name]);
  }

  /** Add a component that is wired to a port at once. */
  addAt(component: string, at: Place, port: Port): void {
    const spec = own(this.specs, component);
    const end = spec && (port.side === "output" ? mainInput(spec) : mainOutput(spec));
    if (end === undefined) return;
    const joined = { end: { filter: port.filter, port: port.port }, port: end };
    const wanted = port.side === "output" ? { component, at, from: joined } : { component, at: [at[0] - 208, at[1]] as Place, to: joined };
    const { changes, name } = gestures.addFilter(this.doc, wanted);
    if (this.draft.do(said("gesture.addWired", { filter: name, port: `${port.filter}.${port.port}` }), changes)) this.select([name]);
  }

  /** Null if it is called so now, or why it cannot be. */
  rename(from: string, to: string): Said | null {
    if (from === to) return null;
    const why = gestures.whyNoName(this.doc, from, to);
    if (why) return why;
    this.draft.do(said("gesture.rename", { from, to }), gestures.renameFilter(from, to));
    const { selected } = this.draft.state!;
    this.draft.select(new Set([...selected].map((id) => (id === from ? to : id))));
    return null;
  }

  param(filter: string, path: readonly string[], value: Json | undefined): void {
    const changes = value === undefined ? gestures.unsetParam(filter, path) : gestures.setParam(this.doc, filter, path, value);
    this.draft.do(said("gesture.param", { filter, param: path.join(".") }), changes, `param ${filter} ${path.join(".")}`);
  }

  option(filter: string, key: string, value: Json | undefined): void {
    this.draft.do(said("gesture.option", { filter, option: key }), gestures.setOption(filter, key, value), `option ${filter} ${key}`);
  }

  field(key: string, value: Json | undefined): void {
    this.draft.do(said("gesture.field", { key }), gestures.setKey(key, value), `field ${key}`);
  }

  /** Change which names are in `routes` or `inherit`. */
  names(key: "routes" | "inherit", next: readonly string[]): void {
    const before = this.doc[key];
    const changes: Change[] = [
      ...before.filter((name) => !next.includes(name)).map((value): Change => ({ do: "exclude", key, value })),
      ...next.filter((name) => name && !before.includes(name)).map((value): Change => ({ do: "include", key, value })),
    ];
    this.draft.do(said("gesture.field", { key }), changes);
  }

  // -- wires ---------------------------------------------------------------------------------------------

  isFitting = (wire: Wire): boolean => hasWire(this.doc, wire) || whyNot(this.doc, this.specs, wire) === null;

  connect(wire: Wire): void {
    const why = whyNot(this.doc, this.specs, wire);
    if (why) return this.tell(why);
    this.draft.do(said("gesture.wire", { from: wire[0], to: wire[1] }), [gestures.addWire(wire)]);
  }

  join(one: Port, other: Port): void {
    const wire = wireBetween(this.doc, this.specs, one, other);
    if (isSaid(wire)) this.tell(wire);
    else this.connect(wire);
  }

  private reconnect(from: Wire, to: Wire): void {
    if (wireKey(from) === wireKey(to)) return;
    const without = { ...this.doc, wires: this.doc.wires.filter((wire) => wireKey(wire) !== wireKey(from)) };
    const why = whyNot(without, this.specs, to);
    if (why) return this.tell(why);
    if (this.draft.do(said("gesture.rewire", { from: to[0], to: to[1] }), gestures.reconnect(from, to))) this.draft.select(new Set([wireKey(to)]));
  }

  // -- what is done on the canvas ------------------------------------------------------------------------

  gesture = (gesture: Gesture): void => {
    switch (gesture.kind) {
      case "move":
        return this.move(gesture.places, gesture.isByKeys);
      case "connect":
        return this.connect(gesture.wire);
      case "reconnect":
        return this.reconnect(gesture.from, gesture.to);
      case "refused":
        return this.join(gesture.one, gesture.other);
      case "dangle":
        return this.pickFor(gesture.port, gesture.at);
      case "remove":
        return this.remove(gesture);
    }
  };

  private move(places: Readonly<Record<string, Place>>, isByKeys: boolean): void {
    const entries = Object.entries(places);
    const filters = Object.fromEntries(entries.filter(([id]) => !id.startsWith(COMMENT)));
    const comments = Object.fromEntries(entries.filter(([id]) => id.startsWith(COMMENT)).map(([id, place]) => [id.slice(COMMENT.length), place]));
    const changes = gestures.move(this.doc, { filters, comments });
    const names = entries.map(([id]) => id).sort();
    const what = names.length === 1 && Object.keys(filters).length === 1 ? said("gesture.move", { filter: names[0] ?? "" }) : said("gesture.moveMany", { count: names.length });
    const [only] = Object.keys(filters);
    const through = !isByKeys && names.length === 1 && only !== undefined ? this.throughWire(only) : [];
    this.draft.do(through.length ? said("gesture.splice", { filter: only ?? "" }) : what, [...changes, ...through], isByKeys ? `move ${names.join(" ")}` : undefined);
  }

  /** A filter without wires that was laid on a wire is led through it. */
  private throughWire(filter: string): readonly Change[] {
    if (this.doc.wires.some((wire) => wire.some((end) => endOf(end).filter === filter))) return [];
    const box = document.querySelector(`.compose .react-flow__node[data-id="${CSS.escape(filter)}"]`)?.getBoundingClientRect();
    const key = box && this.view.current?.wireAt(box.x + box.width / 2, box.y + box.height / 2);
    const wire = this.doc.wires.find((each) => wireKey(each) === key);
    if (!wire) return [];
    const fit = spliceFilter(this.doc, this.specs, wire, filter);
    return isSaid(fit) ? [] : gestures.splice(wire, filter, fit);
  }

  remove(items = this.chosen): void {
    const { filters, wires, comments } = items;
    const count = filters.length + wires.length + comments.length;
    if (count === 0) return;
    const [filter, wire] = [filters[0], wires[0]];
    const what =
      count > 1 ? said("gesture.removeMany", { count }) : filter !== undefined ? said("gesture.remove", { filter }) : wire ? said("gesture.unwire", { from: wire[0], to: wire[1] }) : said("gesture.uncomment");
    if (this.draft.do(what, gestures.removeItems(this.doc, { filters, wires, comments }))) this.draft.select(EMPTY);
  }

  /** Remove a filter, and wire what was before it to what was behind. */
  heal(): void {
    const [filter] = this.chosen.filters;
    if (filter !== undefined && this.draft.do(said("gesture.heal", { filter }), gestures.removeAndHeal(this.doc, filter))) this.draft.select(EMPTY);
  }

  /** Put what the chosen composite is made of in its place. */
  async takeApart(): Promise<void> {
    const [name] = this.chosen.filters;
    const filter = name === undefined ? undefined : own(this.doc.nodes, name);
    if (name === undefined || !filter) return;
    const wanted = compositeOf(filter);
    let composite: JsonObject;
    try {
      composite = isNamed(wanted) ? (await get<{ composite: JsonObject }>(path("composites", wanted.name, ...(wanted.version ? ["versions", wanted.version] : [])))).composite : wanted;
    } catch (error) {
      return void notify({ text: messageOf(error), kind: "bad" });
    }
    if (own(this.doc.nodes, name) !== filter) return; // it was changed meanwhile
    const { changes, filters } = takenApart(this.doc, name, composite);
    if (this.draft.do(said("gesture.takeApart", { filter: name }), changes)) this.select(filters);
  }

  // -- copies --------------------------------------------------------------------------------------------

  /** The chosen filters and comments as text; null: none are. */
  copied(): string | null {
    const { filters, comments } = this.chosen;
    return filters.length || comments.length ? copy(this.doc, { filters, comments }) : null;
  }

  paste(text: string, at?: Place): void {
    const clip = readClip(text);
    if (isSaid(clip)) return this.tell(clip);
    const { changes, filters, comments } = gestures.paste(this.doc, clip, at);
    const count = filters.length + comments.length;
    if (this.draft.do(said("gesture.paste", { count }), changes)) this.select([...filters, ...comments.map(commentItem)]);
  }

  duplicate(): void {
    const text = this.copied();
    if (text !== null) this.paste(text);
  }

  cut(): string | null {
    const text = this.copied();
    if (text !== null) this.remove({ ...this.chosen, wires: [] });
    return text;
  }

  // -- places --------------------------------------------------------------------------------------------

  tidy(): void {
    const { filters } = this.chosen;
    const boxes = this.boxes();
    const sizes = Object.fromEntries([...boxes].map(([name, { size }]) => [name, size]));
    const places = tidy(this.doc, { catalogue: this.specs, sizes, ...(filters.length > 1 ? { only: filters } : {}) });
    this.draft.do(said("gesture.tidy"), gestures.move(this.doc, { filters: places }));
  }

  /** Lay the chosen ones along a line, or in a row or column with equal gaps. */
  align(edge: Edge): void {
    const { filters } = this.chosen;
    const boxes = this.boxes();
    const found = filters.flatMap((name) => {
      const box = boxes.get(name);
      return box ? [{ name, ...box }] : [];
    });
    if (found.length < 2) return;
    const far = (axis: 0 | 1) => Math.max(...found.map(({ at, size }) => at[axis] + size[axis]));
    const near = (axis: 0 | 1) => Math.min(...found.map(({ at }) => at[axis]));
    const places = new Map<string, Place>();
    if (edge === "row" || edge === "column") {
      const axis = edge === "row" ? 0 : 1;
      let next = near(axis);
      for (const { name, size } of [...found].sort((one, other) => one.at[axis] - other.at[axis])) {
        places.set(name, axis === 0 ? [next, near(1)] : [near(0), next]);
        next += size[axis] + GAP[axis];
      }
    } else
      for (const { name, at, size } of found)
        places.set(name, edge === "left" ? [near(0), at[1]] : edge === "right" ? [far(0) - size[0], at[1]] : edge === "top" ? [at[0], near(1)] : [at[0], far(1) - size[1]]);
    this.draft.do(said("gesture.align", { count: found.length }), gestures.move(this.doc, { filters: Object.fromEntries(places) }));
  }

  // -- comments ------------------------------------------------------------------------------------------

  addComment(): void {
    const { changes, id } = gestures.addComment({ text: t.compose.newComment, at: this.freePlace() });
    if (this.draft.do(said("gesture.comment"), changes)) this.draft.select(new Set([commentItem(id)]));
  }

  comment(id: string, text: string): void {
    this.draft.do(said("gesture.editComment"), gestures.setComment(id, { text }), `comment ${id}`);
  }
}
