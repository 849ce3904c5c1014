/** A graph at work: packets on its wires, what its filters do, what waits; what is selected is shown in full. */

import { Send } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { listen } from "../../../api/events";
import { useCommands } from "../../../commands/commands";
import { around, levelOf, wayTo, withParts } from "../../../model/composites";
import { readGraph, wireKey } from "../../../model/graph";
import { own } from "../../../model/json";
import { specOf } from "../../../model/ports";
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

/** Filters that rest, and the one for which the graph cannot run; `shown` is the one that is drawn for a filter. */
function badgesOf(live: LiveGraph | undefined, shown: (filter: string) => string): ReadonlyMap<string, Badge> {
  const found = new Map<string, Badge>();
  for (const { filter, reason } of live?.resting ?? []) found.set(shown(filter), { text: t.watch.rests, kind: "warn", says: t.watch.restsFor(reason) });
  if (live?.error_filter) found.set(shown(live.error_filter), { text: t.watch.broken, kind: "bad", says: live.error ?? "" });
  return found;
}

export function Watch({ name, place, live, graph, specs }: TabProps) {
  const { instances, isDefault, totals } = useNode(name);
  const wanted = place.params.get("filter");
  // other pages lead to a filter inside of another one
  const within = place.params.get("in") ?? around(wanted ?? "");
  const text = live?.expanded === undefined ? undefined : JSON.stringify(live.expanded);
  const expanded = useMemo(() => (text === undefined ? undefined : readGraph(JSON.parse(text)).doc), [text]);
  const level = useMemo(() => graph && levelOf(graph, expanded, within), [graph, expanded, within]);
  const parts = useMemo(() => withParts(specs), [specs]);
  const watching = useWatching(name, level, instances);
  const told = JSON.stringify([live?.resting, live?.error, live?.error_filter]);
  const badges = useMemo(() => badgesOf(live, (filter) => [...(level?.inside ?? [])].find(([, inside]) => inside.includes(filter))?.[0] ?? filter), [told, level]);
  const [selected, setSelected] = useState<ReadonlySet<string>>(() => new Set(wanted ? [wanted] : []));
  const select = useCallback(
    (next: ReadonlySet<string>) => {
      setSelected(next);
      // the address is that of what is shown: to be kept and given to others
      const [only] = next.size === 1 ? next : [];
      const filter = only !== undefined && !only.includes(" ") ? only : undefined;
      go(address(["graphs", name], { in: within || undefined, filter }), true);
    },
    [name, within],
  );
  const enter = useCallback(
    (next: string) => {
      setSelected(new Set());
      go(address(["graphs", name], { in: next || undefined }));
    },
    [name],
  );
  // a filter inside is shown where it is
  const lead = useCallback(
    (filter: string) => {
      setSelected(new Set([filter]));
      go(address(["graphs", name], { in: around(filter) || undefined, filter }));
    },
    [name],
  );
  const [isPosting, setPosting] = useState(false);
  const mayNot = useRefusal("ingest");
  const route = graph?.routes[0] ?? "";
  const refused = mayNot ?? (!graph ? t.graph.notDeployed : route || isDefault ? undefined : t.watch.noRoute);
  useCommands(useMemo(() => [{ id: "post", name: t.watch.post, keys: "D", refused, run: () => setPosting(true) }], [refused]));
  const close = useCallback(() => select(new Set()), [select]);

  if (!graph || !live || !level)
    return (
      <Empty title={t.graph.notDeployed}>
        <p>{t.watch.notDeployed}</p>
      </Empty>
    );
  const [only] = selected.size === 1 ? selected : [];
  const filter = only === undefined ? undefined : own(level.doc.nodes, only);
  const wire = level.doc.wires.find((each) => wireKey(each) === only);
  const tapped = wire && (level.wires.get(wireKey(wire))?.[0] ?? wire);
  return (
    <div className="watch">
      <div className="watch-head">
        <Strip watching={watching} before={totals} />
        <Button icon={<Send size={16} aria-hidden />} refused={refused} onClick={() => setPosting(true)}>
          {t.watch.post}
        </Button>
      </div>
      <Notes live={live} onSelect={lead} />
      {within && <Way name={name} within={within} onEnter={enter} />}
      <div className="watch-body">
        <Canvas key={within} graph={level.doc} specs={parts} selected={selected} onSelect={select} badges={badges} live={watching.live} label={t.canvas.label(name)} />
        {filter && only !== undefined && (
          <FilterPanel key={only} name={only} filter={filter} spec={specOf(parts, filter.component)} onEnter={level.inside.has(only) ? () => enter(only) : undefined} {...{ live, watching, instances }} onClose={close} />
        )}
        {wire && tapped && <WirePanel key={wireKey(wire)} graph={name} wire={wire} tapped={tapped} watching={watching} onClose={close} />}
      </div>
      {isPosting && <Post name={name} route={route} onClose={() => setPosting(false)} />}
    </div>
  );
}

/** The way into what is shown: the graph, and the filters within each other. */
function Way({ name, within, onEnter }: { readonly name: string; readonly within: string; readonly onEnter: (within: string) => void }) {
  const way = wayTo(within);
  return (
    <nav className="watch-way" aria-label={t.watch.wayInto}>
      <button type="button" className="link" onClick={() => onEnter("")}>
        {name}
      </button>
      {way.map((each, at) => (
        <span key={each}>
          {" › "}
          {at < way.length - 1 ? (
            <button type="button" className="link" onClick={() => onEnter(each)}>
              {each.slice(around(each).length).replace(/^:/, "")}
            </button>
          ) : (
            <b aria-current="location">{each.slice(around(each).length).replace(/^:/, "")}</b>
          )}
        </span>
      ))}
    </nav>
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
