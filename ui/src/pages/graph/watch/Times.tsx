/** How long packets take in a filter, and what part of the work of its graph that is. */

import { path } from "../../../api/http";
import { own } from "../../../model/json";
import { count, seconds, share } from "../../../parts/numbers";
import { Problem } from "../../../parts/Problem";
import { useFetched } from "../../../parts/useFetched";
import { t } from "../../../texts";
import { quantile } from "./counters";
import { Facts, Part } from "./Side";

interface FilterTimes {
  readonly packets: number;
  readonly seconds: number;
  /** By bound; the last one beyond all. */
  readonly counts: readonly number[];
}

interface TimesAnswer {
  readonly bounds_s: readonly number[];
  readonly filters: Readonly<Record<string, FilterTimes>>;
}

const AGAIN_MS = 2000;
const LEAST_BARS = 10;

export function Times({ graph, filter }: { readonly graph: string; readonly filter: string }) {
  const { value, error, again } = useFetched<TimesAnswer>(path("graphs", graph, "times"), AGAIN_MS);
  if (error !== undefined && value === undefined) return <Problem error={error} onRetry={again} />;
  const times = own(value?.filters ?? {}, filter);
  const work = Object.values(value?.filters ?? {}).reduce((sum, each) => sum + each.seconds, 0);
  return (
    <>
      <Part title={t.watch.latency}>
        {value && times && times.packets > 0 ? <Histogram times={times} bounds={value.bounds_s} /> : <p className="dim">{value ? t.watch.noWork : t.parts.loading}</p>}
      </Part>
      {times && times.packets > 0 && (
        <Part title={t.watch.costs}>
          <Facts
            facts={[
              [t.watch.perPacket, seconds(times.seconds / times.packets)],
              [t.watch.shareOfGraph, work > 0 ? share(times.seconds / work) : undefined],
              [t.watch.inAll, t.watch.workOf(seconds(times.seconds), count(times.packets))],
            ]}
          />
        </Part>
      )}
    </>
  );
}

const said = (value: number | undefined): string => (value === undefined ? "" : value === Infinity ? t.watch.longer : `≤ ${seconds(value)}`);

function Histogram({ times, bounds }: { readonly times: FilterTimes; readonly bounds: readonly number[] }) {
  const least = times.counts.findIndex((each) => each > 0);
  // few bars say more among empty ones
  const last = Math.min(Math.max(times.counts.findLastIndex((each) => each > 0), least + 4), times.counts.length - 1);
  const first = Math.max(0, Math.min(least, last - LEAST_BARS + 1));
  const bars = times.counts.slice(first, last + 1);
  const most = Math.max(...bars, 1);
  const [middle, most95, most99] = [0.5, 0.95, 0.99].map((each) => quantile(times.counts, bounds, each));
  return (
    <>
      <svg className="histogram" viewBox={`0 0 ${bars.length * 10} 60`} preserveAspectRatio="none" role="img" aria-label={t.watch.histogram(said(middle), said(most99))}>
        {bars.map((each, at) => {
          const height = each > 0 ? Math.max((each / most) * 58, 1) : 0;
          return (
            <rect key={at} x={at * 10 + 1} y={60 - height} width={8} height={height}>
              <title>{`${said(bounds[first + at] ?? Infinity)}: ${count(each)}`}</title>
            </rect>
          );
        })}
      </svg>
      <p className="histogram-ends" aria-hidden>
        <span>{said(bounds[first] ?? Infinity)}</span>
        <span>{said(bounds[last] ?? Infinity)}</span>
      </p>
      <Facts facts={[[t.watch.median, said(middle)], [t.watch.most95, said(most95)], [t.watch.most99, said(most99)]]} />
    </>
  );
}
