/** The graph as a whole in one line: what comes in, what goes out, what waits. */

import type { ReactNode } from "react";
import { bytes, count, rate, seconds } from "../../../parts/numbers";
import { Sparkline } from "../../../parts/Sparkline";
import { t } from "../../../texts";
import { type Watching, useSnapshot } from "./watching";

function Figure({ label, children, kind = "" }: { readonly label: string; readonly children: ReactNode; readonly kind?: string }) {
  return (
    <div className={`figure ${kind}`}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function Strip({ watching }: { readonly watching: Watching }) {
  const { queue, published } = useSnapshot(watching);
  return (
    <dl className="strip" aria-label={t.watch.queue}>
      <Figure label={t.watch.accepted}>{rate(queue.accepted)}</Figure>
      <Figure label={t.watch.published}>{rate(queue.published)}</Figure>
      {queue.dropped > 0 && <Figure label={t.watch.dropped}>{rate(queue.dropped)}</Figure>}
      <Figure label={t.watch.failed} kind={queue.failed > 0 ? "bad" : ""}>
        {rate(queue.failed)}
      </Figure>
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
