/** One graph of the list: its state and why, what it does, what waits, what has failed, and what can be done with it. */

import { Download, MoreHorizontal, Pause, Play, Trash2 } from "lucide-react";
import { path } from "../../api/http";
import { Menu } from "../../parts/Menu";
import { bytes, count, rate, seconds } from "../../parts/numbers";
import { Sparkline } from "../../parts/Sparkline";
import { address } from "../../router";
import { t } from "../../texts";
import { stateOf } from "../graph/state";
import type { Flow } from "./rates";
import type { Listed, Usage } from "./status";

/** Dead letters of one cause. */
export interface Cause {
  readonly graph: string;
  readonly filter: string;
  readonly code: string;
  readonly count: number;
  readonly history?: readonly number[];
}

const CAUSES = 3;
/** A document that waits so long is said to be late. */
const LATE_S = 60;

export interface GraphCardProps {
  readonly graph: Listed;
  readonly usage: Usage;
  readonly flow: Flow | undefined;
  readonly causes: readonly Cause[];
  readonly refused: string | undefined;
  readonly onHold: () => void;
  readonly onRemove: () => void;
}

export function GraphCard({ graph, usage, flow, causes, refused, onHold, onRemove }: GraphCardProps) {
  const state = stateOf(graph);
  const isPaused = graph.state === "paused";
  const published = flow ? flow.queue.published : usage.published;
  return (
    <li className="card graph-card">
      <div className="graph-name">
        <h2>
          <a href={address(["graphs", graph.name])} title={graph.name}>
            {graph.name}
          </a>
        </h2>
        <div className="row">
          <span className={`state ${state.kind}`}>{state.text}</span>
          {graph.draft && (
            <a className="chip" href={address(["graphs", graph.name, "compose"])}>
              {t.graphs.draft}
            </a>
          )}
        </div>
        {graph.description && <p className="dim">{graph.description}</p>}
      </div>
      <dl className="glances">
        <div className="glance">
          <dt>{t.graphs.published}</dt>
          <dd>{rate(published)}</dd>
        </div>
        <div className="glance">
          <dt>{t.graphs.waiting}</dt>
          <dd>
            {count(usage.documents)}
            {usage.bytes > 0 && <small>{bytes(usage.bytes)}</small>}
          </dd>
        </div>
        <div className={`glance ${usage.oldest_s >= LATE_S ? "warn" : ""}`}>
          <dt>{t.graphs.oldest}</dt>
          <dd>{usage.documents > 0 ? seconds(usage.oldest_s) : "–"}</dd>
        </div>
      </dl>
      <Sparkline values={flow?.published ?? [0, 0]} label={t.graphs.publishedLately(graph.name, rate(published))} />
      <div className="graph-causes">
        {usage.deadLetters === 0 ? (
          <span className="dim">{t.graphs.noneFailed}</span>
        ) : (
          <>
            {causes.slice(0, CAUSES).map((cause) => (
              <a key={`${cause.filter} ${cause.code}`} href={address(["repair"], { graph: graph.name, filter: cause.filter || undefined, code: cause.code })}>
                <b>{count(cause.count)}</b> <code>{cause.filter}</code> {cause.code}
              </a>
            ))}
            {(causes.length > CAUSES || causes.length === 0) && (
              <a href={address(["repair"], { graph: graph.name })}>{t.graphs.allLetters(count(usage.deadLetters))}</a>
            )}
          </>
        )}
      </div>
      <Menu
        name={t.graphs.menuOf(graph.name)}
        icon={<MoreHorizontal size={16} aria-hidden />}
        items={[
          { name: isPaused ? t.graph.resume : t.graph.pause, icon: isPaused ? <Play size={16} aria-hidden /> : <Pause size={16} aria-hidden />, refused, run: onHold },
          { name: t.graphs.export, icon: <Download size={16} aria-hidden />, href: path("graphs", graph.name, "file") },
          { name: t.graphs.remove, icon: <Trash2 size={16} aria-hidden />, refused, run: onRemove },
        ]}
      />
      <Reasons graph={graph} />
    </li>
  );
}

/** Why it does not do what it should, and where that is mended. */
function Reasons({ graph }: { readonly graph: Listed }) {
  const { name, error, error_filter: culprit, resting = [], file } = graph;
  if (!error && resting.length === 0 && !file?.differs && !file?.problem) return null;
  const filterOf = (filter: string) => address(["graphs", name], { filter });
  return (
    <div className="graph-reasons">
      {error && (
        <p className="problem">
          {t.graphs.cannotRun(error)} <a href={culprit ? filterOf(culprit) : address(["graphs", name])}>{culprit ? t.watch.showFilter(culprit) : t.graphs.look}</a>
        </p>
      )}
      {resting.map(({ filter, reason }) => (
        <p key={filter} className="warning">
          {t.watch.waitsFor(filter, reason)} <a href={filterOf(filter)}>{t.watch.showFilter(filter)}</a>
        </p>
      ))}
      {file?.problem ? (
        <p className="warning">{t.graphs.fileBroken(file.path, file.problem)}</p>
      ) : (
        file?.differs && <p className="note-line">{file.changed === "node" ? t.graphs.nodeChanged(file.path) : t.graphs.fileChanged(file.path)}</p>
      )}
    </div>
  );
}
