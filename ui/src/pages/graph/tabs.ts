/** What can be done with one graph, each under an address of its own: `#/graphs/NAME/compose`. */

import type { ComponentType } from "react";
import type { GraphDoc } from "../../model/graph";
import type { Catalogue } from "../../model/ports";
import type { Place } from "../../router";
import { t } from "../../texts";
import type { LiveGraph } from "./state";
import { Compose } from "./compose/Compose";
import { Step } from "./step/Step";
import { Versions } from "./versions/Versions";
import { Watch } from "./watch/Watch";

export interface TabProps {
  readonly name: string;
  readonly place: Place;
  /** What runs; undefined: there is a draft at most. */
  readonly live: LiveGraph | undefined;
  /** The graph of it, the same object as long as it is the same version. */
  readonly graph: GraphDoc | undefined;
  readonly specs: Catalogue;
  /** Ask for what runs once more. */
  readonly again: () => void;
}

export interface Tab {
  /** The part of its address; empty: that of the graph itself. */
  readonly name: string;
  readonly label: string;
  readonly View: ComponentType<TabProps>;
}

export const TABS: readonly Tab[] = [
  { name: "", label: t.graph.watch, View: Watch },
  { name: "compose", label: t.compose.tab, View: Compose },
  { name: "step", label: t.step.tab, View: Step },
  { name: "versions", label: t.versions.tab, View: Versions },
];
