/** The pages, by the first part of their address. */

import type { ComponentType } from "react";
import type { Place } from "../router";
import { t } from "../texts";
import { Graph } from "./graph/Graph";
import { Graphs } from "./graphs/Graphs";

export interface Page {
  /** The first part of its address. */
  readonly name: string;
  readonly label: string;
  /** What the window is called. */
  readonly title: (place: Place) => string;
  readonly View: ComponentType<{ readonly place: Place }>;
}

const graphs: Page = { name: "graphs", label: t.shell.graphs, title: ({ parts }) => parts[1] ?? t.shell.graphs, View: ({ place }) => (place.parts[1] === undefined ? <Graphs /> : <Graph place={place} />) };

export const PAGES: readonly Page[] = [graphs];

export function pageAt(place: Place): Page {
  return PAGES.find((page) => page.name === place.parts[0]) ?? graphs;
}
