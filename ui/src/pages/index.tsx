/** The pages, by the first part of their address. */

import { type ComponentType, lazy } from "react";
import type { Place } from "../router";
import { t } from "../texts";
import { Answer } from "./answer/Answer";
import { Follow } from "./follow/Follow";
import { Graphs } from "./graphs/Graphs";
import { Repair } from "./repair/Repair";

/** The pages of a graph are the larger part of the editor: they come when one is opened. */
const Graph = lazy(async () => ({ default: (await import("./graph/Graph")).Graph }));

export interface Page {
  /** The first part of its address. */
  readonly name: string;
  readonly label: string;
  /** What the window is called. */
  readonly title: (place: Place) => string;
  readonly View: ComponentType<{ readonly place: Place }>;
}

const graphs: Page = { name: "graphs", label: t.shell.graphs, title: ({ parts }) => parts[1] ?? t.shell.graphs, View: ({ place }) => (place.parts[1] === undefined ? <Graphs /> : <Graph place={place} />) };
const repair: Page = { name: "repair", label: t.shell.repair, title: ({ parts }) => (parts[1] ? t.repair.letter : t.shell.repair), View: Repair };
const follow: Page = { name: "follow", label: t.shell.follow, title: () => t.shell.follow, View: Follow };
const answer: Page = { name: "answer", label: t.shell.answer, title: () => t.shell.answer, View: Answer };

export const PAGES: readonly Page[] = [graphs, repair, follow, answer];

export function pageAt(place: Place): Page {
  return PAGES.find((page) => page.name === place.parts[0]) ?? graphs;
}
