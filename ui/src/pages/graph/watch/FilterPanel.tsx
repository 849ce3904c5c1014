/** A filter at work: what it does just now, how long that takes, what it says, and how it is set. */

import { Box } from "lucide-react";
import { path, query } from "../../../api/http";
import { outermost } from "../../../model/composites";
import type { FilterDoc } from "../../../model/graph";
import { type Json, own } from "../../../model/json";
import type { Spec } from "../../../model/ports";
import { Button } from "../../../parts/Button";
import { Doc } from "../../../parts/Doc";
import { Icon } from "../../../parts/Icon";
import { brief, count, rate, share } from "../../../parts/numbers";
import { useFetched } from "../../../parts/useFetched";
import { address } from "../../../router";
import { language, t } from "../../../texts";
import type { LiveGraph } from "../state";
import { Facts, Part, Side } from "./Side";
import { Times } from "./Times";
import { type Watching, useSnapshot } from "./watching";

interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly reason?: string;
  readonly count?: number;
}

const AGAIN_MS = 5000;
const LINES = 30;
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });

export interface FilterPanelProps {
  readonly name: string;
  readonly filter: FilterDoc;
  readonly spec: Spec | undefined;
  readonly live: LiveGraph;
  readonly watching: Watching;
  readonly instances: number;
  readonly onClose: () => void;
  /** Of one that is made of others: show these. */
  readonly onEnter: (() => void) | undefined;
}

export function FilterPanel({ name, filter, spec, live, watching, instances, onClose, onEnter }: FilterPanelProps) {
  const rests = live.resting?.find((each) => each.filter === name);
  const { component, params, uid: _uid, ...options } = filter;
  const counted = own(live.counts ?? {}, name);
  const used = live.composites?.find((each) => each.name === component);
  return (
    <Side title={name} icon={<Icon spec={spec} />} onClose={onClose}>
      <div>
        <b>{component}</b>
        {spec && <Doc text={spec.doc} isBrief />}
      </div>
      {onEnter && (
        <Button icon={<Box size={16} aria-hidden />} onClick={onEnter}>
          {t.watch.lookInside}
        </Button>
      )}
      {used && used.newest > used.version && <p className="dim">{t.watch.newerComposite(String(used.version), String(used.newest))}</p>}
      {live.error_filter === name && live.error && <p className="problem">{live.error}</p>}
      {rests && <p className="warning">{t.watch.restsSince(clock.format(new Date(rests.since)), rests.reason)}</p>}
      <Part title={t.watch.now}>
        <Now name={name} watching={watching} instances={instances} />
        {!onEnter && <a href={address(["repair"], { graph: live.name, filter: name })}>{t.watch.deadLetters}</a>}
      </Part>
      {!onEnter && <Times graph={live.name} filter={name} />}
      {counted && Object.keys(counted).length > 0 && (
        <Part title={t.watch.counts}>
          <Facts facts={Object.entries(counted).map(([key, value]) => [key, count(value)])} />
        </Part>
      )}
      <Part title={t.watch.params}>
        {Object.keys(params).length + Object.keys(options).length === 0 ? (
          <p className="dim">{t.watch.noParams}</p>
        ) : (
          <Facts facts={[...Object.entries(params), ...Object.entries(options)].map(([key, value]) => [key, <code key={key}>{shown(value)}</code>])} />
        )}
        <a href={address(["graphs", live.name, "compose"], { filter: outermost(name) })}>{t.watch.changeParams}</a>
      </Part>
      {!onEnter && (
        <Part title={t.watch.log}>
          <Log graph={live.name} filter={name} />
        </Part>
      )}
    </Side>
  );
}

const shown = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value, null, 1));

function Now({ name, watching, instances }: { readonly name: string; readonly watching: Watching; readonly instances: number }) {
  const now = own(useSnapshot(watching).counters.filters, name) ?? {};
  return (
    <Facts
      facts={[
        [t.watch.takes, rate(now.in ?? 0)],
        [t.watch.gives, rate(now.out ?? 0)],
        [t.watch.works, share(Math.min((now.busy ?? 0) / instances, 1))],
        [t.watch.heldUp, now.parked ? share(Math.min(now.parked / instances, 1)) : undefined],
        [t.watch.fails, now.failures ? rate(now.failures) : undefined],
        [t.watch.retries, now.retries ? rate(now.retries) : undefined],
        [t.watch.restsIn, now.resting ? t.watch.instances(brief(now.resting), brief(instances)) : undefined],
      ]}
    />
  );
}

function Log({ graph, filter }: { readonly graph: string; readonly filter: string }) {
  const { value, error } = useFetched<{ readonly logs: readonly LogLine[] }>(`${path("logs")}${query({ graph, filter, limit: LINES })}`, AGAIN_MS);
  if (error !== undefined && value === undefined) return <p className="dim">{t.watch.noLogNow}</p>;
  if (!value) return <p className="dim">{t.parts.loading}</p>;
  if (value.logs.length === 0) return <p className="dim">{t.watch.noLog}</p>;
  return (
    <ol className="log-lines">
      {[...value.logs].reverse().map((line, at) => (
        <li key={`${line.time} ${at}`} className={line.level}>
          <time dateTime={line.time}>{clock.format(new Date(line.time))}</time> <b>{line.level}</b> {line.event}
          {line.reason && <span className="dim"> {line.reason}</span>}
          {line.count !== undefined && line.count > 1 && <span className="chip">× {count(line.count)}</span>}
        </li>
      ))}
    </ol>
  );
}
