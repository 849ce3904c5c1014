/** A graph at work: packets on its wires, what its filters do, what waits; what is selected is shown in full. */

import { Send } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { listen } from "../../../api/events";
import { useCommands } from "../../../commands/commands";
import { wireKey } from "../../../model/graph";
import { own } from "../../../model/json";
import { Button } from "../../../parts/Button";
import { Empty } from "../../../parts/Empty";
import { useFetched } from "../../../parts/useFetched";
import { address, go } from "../../../router";
import { useRefusal } from "../../../session";
import { t } from "../../../texts";
import { Canvas } from "../canvas/Canvas";
import type { Badge } from "../canvas/flow";
import type { LiveGraph } from "../state";
import type { TabProps } from "../tabs";
import { type Totals, totalsOf } from "./counters";
import { FilterPanel } from "./FilterPanel";
import { Post } from "./Post";
import { Strip } from "./Strip";
import { useWatching } from "./watching";
import { WirePanel } from "./WirePanel";
import "../../../style/watch.css";

interface NodeStatus {
  readonly default: string | null;
  readonly instances: readonly { readonly state: string; readonly graphs: readonly string[] }[];
  readonly shards: readonly { readonly graphs: Readonly<Record<string, Totals>> }[];
}

/** What changes is told by events; this is for what was not told. */
const STATUS_MS = 60_000;

/** The instances that run a graph, whether documents without a route come to it, and how many it has had. */
function useNode(name: string): { readonly instances: number; readonly isDefault: boolean; readonly totals: Totals | undefined } {
  const { value, again } = useFetched<NodeStatus>("status", STATUS_MS);
  useEffect(() => listen(["instance", "deployment"], again), [again]);
  const ready = value?.instances.filter((each) => each.state === "ready" && each.graphs.includes(name)).length ?? 0;
  const totals = useMemo(() => value && totalsOf(value.shards.flatMap(({ graphs }) => own(graphs, name) ?? [])), [value, name]);
  return { instances: Math.max(ready, 1), isDefault: value?.default === name, totals };
}

/** Filters that rest, and the one for which the graph cannot run. */
function badgesOf(live: LiveGraph | undefined): ReadonlyMap<string, Badge> {
  const found = new Map<string, Badge>();
  for (const { filter, reason } of live?.resting ?? []) found.set(filter, { text: t.watch.rests, kind: "warn", says: t.watch.restsFor(reason) });
  if (live?.error_filter) found.set(live.error_filter, { text: t.watch.broken, kind: "bad", says: live.error ?? "" });
  return found;
}

export function Watch({ name, place, live, graph, specs }: TabProps) {
  const { instances, isDefault, totals } = useNode(name);
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
  const [isPosting, setPosting] = useState(false);
  const mayNot = useRefusal("ingest");
  const route = graph?.routes[0] ?? "";
  const refused = mayNot ?? (!graph ? t.graph.notDeployed : route || isDefault ? undefined : t.watch.noRoute);
  useCommands(useMemo(() => [{ id: "post", name: t.watch.post, keys: "D", refused, run: () => setPosting(true) }], [refused]));
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
      <div className="watch-head">
        <Strip watching={watching} before={totals} />
        <Button icon={<Send size={16} aria-hidden />} refused={refused} onClick={() => setPosting(true)}>
          {t.watch.post}
        </Button>
      </div>
      <Notes live={live} onSelect={(which) => select(new Set([which]))} />
      <div className="watch-body">
        <Canvas graph={graph} specs={specs} selected={selected} onSelect={select} badges={badges} live={watching.live} label={t.canvas.label(name)} />
        {filter && only !== undefined && (
          <FilterPanel key={only} name={only} filter={filter} spec={own(specs, filter.component)} {...{ live, watching, instances }} onClose={close} />
        )}
        {wire && <WirePanel key={wireKey(wire)} graph={name} wire={wire} watching={watching} onClose={close} />}
      </div>
      {isPosting && <Post name={name} route={route} onClose={() => setPosting(false)} />}
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
