/** Counters on the canvas. They are written into what is drawn, and nothing is rendered for them: a second's counters of 300 filters take a few milliseconds. */

import { createContext, useContext } from "react";

export interface WireState {
  /** Shown above the wire and below it; empty: nothing passes, nothing waits. */
  readonly rate: string;
  readonly depth: string;
  readonly width: number;
  /** How near its bound it is. */
  readonly level: "" | "warn" | "bad";
  readonly isMoving: boolean;
  /** The same in words. */
  readonly says: string;
}

export interface FilterState {
  readonly text: string;
  /** Share of its time in which it works, 0 to 1. */
  readonly busy: number;
  readonly busyText: string;
  /** Failures, a text; empty: none. */
  readonly failures: string;
  readonly rests: string;
  readonly says: string;
}

interface WirePieces {
  readonly whole: Element;
  readonly label: string;
  readonly path: SVGPathElement | null;
  readonly rate: Element | null;
  readonly depth: Element | null;
}

interface FilterPieces {
  readonly whole: Element;
  readonly label: string;
  readonly card: HTMLElement;
  readonly text: Element | null;
  readonly bar: HTMLElement | null;
  readonly busy: Element | null;
  readonly failures: Element | null;
}

function put(element: Element | null, text: string): void {
  if (element && element.textContent !== text) element.textContent = text;
}

function mark(element: Element, name: string, value: string): void {
  if ((element.getAttribute(name) ?? "") === value) return;
  if (value) element.setAttribute(name, value);
  else element.removeAttribute(name);
}

export class Live {
  readonly #wires = new Map<string, WirePieces>();
  readonly #filters = new Map<string, FilterPieces>();
  readonly #wireStates = new Map<string, WireState>();
  readonly #filterStates = new Map<string, FilterState>();

  /** What is drawn for a wire is there; the function that is returned forgets it. */
  addWire(key: string, group: SVGGElement): () => void {
    const whole = group.closest(".react-flow__edge") ?? group;
    const pieces: WirePieces = {
      whole,
      label: whole.getAttribute("aria-label") ?? "",
      path: group.querySelector<SVGPathElement>(".wire-path"),
      rate: group.querySelector(".wire-rate"),
      depth: group.querySelector(".wire-depth"),
    };
    this.#wires.set(key, pieces);
    const state = this.#wireStates.get(key);
    if (state) this.#drawWire(pieces, state);
    return () => void this.#wires.delete(key);
  }

  addFilter(name: string, card: HTMLElement): () => void {
    const whole = card.closest(".react-flow__node") ?? card;
    const pieces: FilterPieces = {
      whole,
      label: whole.getAttribute("aria-label") ?? "",
      card,
      text: card.querySelector(".live-rate"),
      bar: card.querySelector<HTMLElement>(".live-bar"),
      busy: card.querySelector(".live-busy"),
      failures: card.querySelector(".live-failures"),
    };
    this.#filters.set(name, pieces);
    const state = this.#filterStates.get(name);
    if (state) this.#drawFilter(pieces, state);
    return () => void this.#filters.delete(name);
  }

  setWire(key: string, state: WireState): void {
    this.#wireStates.set(key, state);
    const pieces = this.#wires.get(key);
    if (pieces) this.#drawWire(pieces, state);
  }

  setFilter(name: string, state: FilterState): void {
    this.#filterStates.set(name, state);
    const pieces = this.#filters.get(name);
    if (pieces) this.#drawFilter(pieces, state);
  }

  #drawWire({ whole, label, path, rate, depth }: WirePieces, state: WireState): void {
    put(rate, state.rate);
    put(depth, state.depth);
    if (path) {
      const width = `${state.width.toFixed(1)}px`;
      if (path.style.strokeWidth !== width) path.style.strokeWidth = width;
      mark(path, "data-moving", state.isMoving ? "yes" : "");
    }
    mark(whole, "data-level", state.level);
    mark(whole, "aria-label", state.says ? `${label}: ${state.says}` : label);
  }

  #drawFilter({ whole, label, card, text, bar, busy, failures }: FilterPieces, state: FilterState): void {
    put(text, state.text);
    put(busy, state.busyText);
    put(failures, state.failures);
    if (bar) bar.style.transform = `scaleX(${Math.min(state.busy, 1).toFixed(3)})`;
    mark(card, "data-failing", state.failures ? "yes" : "");
    mark(card, "data-resting", state.rests ? "yes" : "");
    mark(whole, "aria-label", state.says ? `${label}: ${state.says}` : label);
  }
}

const Context = createContext<Live | null>(null);
export const LiveContext = Context;
export const useLive = (): Live | null => useContext(Context);
