/** Wiring by keyboard: the ports that fit a filter, and the components that would fit a wire that ends nowhere. */

import { useMemo } from "react";
import { type Place, endOf } from "../../../model/graph";
import { own } from "../../../model/json";
import { ERROR_PORT, type Port, candidates, newCandidates, specOf } from "../../../model/ports";
import type { Choice } from "../../../parts/Choices";
import { Icon } from "../../../parts/Icon";
import { t } from "../../../texts";
import { cardsOf } from "../canvas/shape";
import type { Editing } from "./Editing";
import { Picker } from "./Picker";
import { gist } from "./Shelf";

export interface Asked {
  readonly filter: string;
  /** One port that was dragged from; otherwise all of the filter. */
  readonly port?: Port;
  readonly at?: Place;
}

export function Connect({ asked, editing, onClose }: { readonly asked: Asked; readonly editing: Editing; readonly onClose: () => void }) {
  const { doc, specs } = editing;
  const { filter, port, at } = asked;
  const choices = useMemo((): readonly Choice[] => {
    const { inputs, outputs } = cardsOf(doc, specs, false).get(filter) ?? { inputs: [], outputs: [] };
    const ports: readonly Port[] = port
      ? [port]
      : [...outputs.map((each): Port => ({ filter, port: each, side: "output" })), ...inputs.map((each): Port => ({ filter, port: each, side: "input" }))];
    const fed = new Set(doc.wires.map(([, to]) => to));
    const feeding = new Set(doc.wires.map(([from]) => from));
    const wires = ports.flatMap((each) =>
      candidates(doc, specs, each).map(({ wire, description, filter: other }): Choice & { rank: number } => ({
        id: wire.join(" "),
        name: `${wire[0]} → ${wire[1]}`,
        detail: /^Default (in|out)put port$/.test(description) ? "" : description,
        icon: <Icon spec={specOf(specs, own(doc.nodes, other)?.component ?? "")} size={14} />,
        // what is joined to nothing yet is meant more often, and failures are seldom
        rank: (endOf(wire[0]).port === ERROR_PORT ? 4 : 0) + (fed.has(wire[1]) ? 2 : 0) + (feeding.has(wire[0]) ? 1 : 0),
        run: () => editing.connect(wire),
      })),
    );
    const sorted = [...wires].sort((one, other) => one.rank - other.rank);
    if (!port || !at) return sorted;
    const fresh = newCandidates(specs, port.side).map(({ component, spec }): Choice => ({
      id: `new ${component}`,
      name: component,
      detail: gist(spec),
      icon: <Icon spec={spec} size={14} />,
      run: () => editing.addAt(component, at, port),
    }));
    return [...fresh, ...sorted];
  }, [doc, specs, filter, port, at, editing]);
  return (
    <Picker
      title={port ? t.compose.wireTo(`${port.filter}.${port.port}`) : t.compose.wireFrom(filter)}
      search={port ? t.compose.searchFitting : t.compose.searchPorts}
      none={t.compose.nothingFits}
      choices={choices}
      onClose={onClose}
    />
  );
}
