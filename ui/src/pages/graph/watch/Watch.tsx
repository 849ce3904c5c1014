/** A graph at work: packets on its wires, what its filters do, what waits; what is selected is shown in full. */

import { useCallback, useMemo, useState } from "react";
import { wireKey } from "../../../model/graph";
import { own } from "../../../model/json";
import { Empty } from "../../../parts/Empty";
import { useFetched } from "../../../parts/useFetched";
import { address, go } from "../../../router";
import { t } from "../../../texts";
import { Canvas } from "../canvas/Canvas";
import type { Badge } from "../canvas/flow";
import type { LiveGraph } from "../state";
import type { TabProps } from "../tabs";
import { FilterPanel } from "./FilterPanel";
import { Strip } from "./Strip";
import { useWatching } from "./watching";
import { WirePanel } from "./WirePanel";
import "../../../style/watch.css";

interface NodeStatus {
  readonly instances: readonly { readonly state: string; readonly graphs: readonly string[] }[];
}

const STATUS_MS = 30_000;

function useInstances(name: string): number {
  const { value } = useFetched<NodeStatus>("status", STATUS_MS);
  return Math.max(value?.instances.filter((each) => each.state === "ready" && each.graphs.includes(name)).length ?? 0, 1);
}

/** Filters that rest, and the one for which the graph cannot run. */
function badgesOf(live: LiveGraph | undefined): ReadonlyMap<string, Badge> {
  const found = new Map<string, Badge>();
  for (const { filter, reason } of live?.resting ?? []) found.set(filter, { text: t.watch.rests, kind: "warn", says: t.watch.restsFor(reason) });
  if (live?.error_filter) found.set(live.error_filter, { text: t.watch.broken, kind: "bad", says: live.error ?? "" });
  return found;
}

export function Watch({ name, place, live, graph, specs }: TabProps) {
  const instances = useInstances(name);
  const watching = useWatching(name, graph, instances);
  const told = JSON.stringify([live?.resting, live?.error, live?.error_filter]);
  const badges = useMemo(() => badgesOf(live), [told]);
  const wanted = place.params.get("filter");
  const [selected, setSelected] = useState<ReadonlySet<string>>(() => new Set(wanted ? [wanted] : []));
  const select = useCallback(
    (next: ReadonlySet<string>) => {
      setSelected(next);
      // the address is that of what is shown: to be kept and given to others
      const [only] = next.size === 1 ? next : [];
      const filter = only !== undefined && !only.includes(" ") ? only : undefined;
      go(address(["graphs", name], { filter }), true);
    },
    [name],
  );
  const close = useCallback(() => select(new Set()), [select]);

  if (!graph || !live)
    return (
      <Empty title={t.graph.notDeployed}>
        <p>{t.watch.notDeployed}</p>
      </Empty>
    );
  const [only] = selected.size === 1 ? selected : [];
  const filter = only === undefined ? undefined : own(graph.nodes, only);
  const wire = graph.wires.find((each) => wireKey(each) === only);
  return (
    <div className="watch">
      <Strip watching={watching} />
      <Notes live={live} onSelect={(which) => select(new Set([which]))} />
      <div className="watch-body">
        <Canvas graph={graph} specs={specs} selected={selected} onSelect={select} badges={badges} live={watching.live} label={t.canvas.label(name)} />
        {filter && only !== undefined && (
          <FilterPanel key={only} name={only} filter={filter} spec={own(specs, filter.component)} {...{ live, watching, instances }} onClose={close} />
        )}
        {wire && <WirePanel key={wireKey(wire)} graph={name} wire={wire} watching={watching} onClose={close} />}
      </div>
    </div>
  );
}

/** What stands in the way of the graph, and where to look. */
function Notes({ live, onSelect }: { readonly live: LiveGraph; readonly onSelect: (filter: string) => void }) {
  const { error, error_filter: culprit } = live;
  return (
    <>
      {error && (
        <div className="note problem" role="alert">
          {error}{" "}
          {culprit && (
            <button type="button" className="link" onClick={() => onSelect(culprit)}>
              {t.watch.showFilter(culprit)}
            </button>
          )}
        </div>
      )}
      {live.state === "paused" && <div className="note warning">{t.watch.paused}</div>}
      {live.resting?.map(({ filter, reason }) => (
        <div key={filter} className="note warning">
          {t.watch.waitsFor(filter, reason)}{" "}
          <button type="button" className="link" onClick={() => onSelect(filter)}>
            {t.watch.showFilter(filter)}
          </button>
        </div>
      ))}
    </>
  );
}
