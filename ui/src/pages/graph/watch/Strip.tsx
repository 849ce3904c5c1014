/** The graph as a whole in one line: what comes in, what goes out, what waits. */

import type { ReactNode } from "react";
import { bytes, count, rate, seconds } from "../../../parts/numbers";
import { Sparkline } from "../../../parts/Sparkline";
import { t } from "../../../texts";
import type { Totals } from "./counters";
import { type Watching, useSnapshot } from "./watching";

function Figure({ label, children, kind = "" }: { readonly label: string; readonly children: ReactNode; readonly kind?: string }) {
  return (
    <div className={`figure ${kind}`}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Documents in a second, and how many there have been: one alone is over before anybody looks. */
function Flow({ label, now, all, kind }: { readonly label: string; readonly now: number; readonly all: number | undefined; readonly kind?: string }) {
  return (
    <Figure label={label} {...(kind ? { kind } : {})}>
      {rate(now)}
      {all !== undefined && all > 0 && <span className="dim"> {t.watch.inTotal(count(all))}</span>}
    </Figure>
  );
}

/** `before`: the totals until the first news. */
export function Strip({ watching, before }: { readonly watching: Watching; readonly before: Totals | undefined }) {
  const { queue, published } = useSnapshot(watching);
  const totals = queue.total ?? before;
  return (
    <dl className="strip" aria-label={t.watch.queue}>
      <Flow label={t.watch.accepted} now={queue.accepted} all={totals?.accepted} />
      <Flow label={t.watch.published} now={queue.published} all={totals?.published} />
      {(queue.dropped > 0 || (totals?.dropped ?? 0) > 0) && <Flow label={t.watch.dropped} now={queue.dropped} all={totals?.dropped} />}
      <Flow label={t.watch.failed} now={queue.failed} all={totals?.failed} kind={queue.failed > 0 ? "bad" : ""} />
      <Figure label={t.watch.documentsWait}>
        {count(queue.documents)}
        {queue.bytes > 0 && <span className="dim"> {bytes(queue.bytes)}</span>}
      </Figure>
      <Figure label={t.watch.oldest} kind={queue.oldest_s >= 60 ? "warn" : ""}>
        {queue.documents > 0 ? seconds(queue.oldest_s) : "–"}
      </Figure>
      {published.length > 1 && (
        <div className="figure chart">
          <dt className="sr-only">{t.watch.publishedLately}</dt>
          <dd>
            <Sparkline values={published} label={t.watch.publishedNow(rate(queue.published))} />
          </dd>
        </div>
      )}
    </dl>
  );
}
