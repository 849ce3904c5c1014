/** The node itself at a glance: processes, shards, pools, disk. */

import type { ReactNode } from "react";
import { bytes, count, seconds, share } from "../../parts/numbers";
import { t } from "../../texts";
import type { NodeStatus } from "./status";

/** Below this share of free space the node is about to refuse documents. */
const LITTLE = 0.1;

function Glance({ title, kind = "", children }: { readonly title: string; readonly kind?: string; readonly children: ReactNode }) {
  return (
    <div className={`glance ${kind}`}>
      <dt>{title}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function NodeGlance({ status }: { readonly status: NodeStatus }) {
  const { instances, workers, pools, shards, disk } = status;
  const ready = instances.filter((each) => each.state === "ready").length;
  const working = workers.filter((each) => each.state === "ready").length;
  const queues = shards.flatMap(({ queue }) => (queue ? [queue] : []));
  // a token for some graphs is not told of the queues
  const broken = shards.filter(({ queue, reason }) => (queue ? queue.is_failed : reason)).length;
  const sum = (of: (queue: (typeof queues)[number]) => number): number => queues.reduce((all, each) => all + of(each), 0);
  return (
    <section className="card" aria-label={t.graphs.node}>
      <h2>{t.graphs.node}</h2>
      <dl className="glances">
        <Glance title={t.graphs.instances} kind={ready < instances.length || instances.length === 0 ? "warn" : ""}>
          {t.graphs.readyOf(count(ready), count(instances.length))}
        </Glance>
        <Glance title={t.graphs.workers} kind={working < workers.length ? "warn" : ""}>
          {t.graphs.readyOf(count(working), count(workers.length))}
        </Glance>
        <Glance title={t.graphs.shards} kind={broken ? "bad" : ""}>
          {count(shards.length)}
          {broken ? (
            <small>{t.graphs.brokenShards(count(broken))}</small>
          ) : (
            queues.length > 0 && <small>{t.graphs.deliveries(count(sum((queue) => queue.deliveries)), bytes(sum((queue) => queue.bytes)))}</small>
          )}
        </Glance>
        {pools.map((pool) => (
          <Glance key={`${pool.name} ${pool.filters.join()}`} title={t.graphs.pool(pool.name)} kind={pool.state === "stalled" ? "bad" : ""}>
            {pool.state === "stalled" ? t.graphs.poolStalled : t.graphs.busyOf(count(pool.workers.filter((each) => each.is_busy).length), count(pool.workers.length))}
            <small>{pool.failure || pool.filters.join(", ")}</small>
          </Glance>
        ))}
        {disk && (
          <Glance title={t.graphs.disk} kind={disk.free_bytes < LITTLE * disk.total_bytes ? "warn" : ""}>
            {t.graphs.free(bytes(disk.free_bytes))}
            <small>{t.graphs.freeOf(share(disk.free_bytes / disk.total_bytes), bytes(disk.total_bytes))}</small>
          </Glance>
        )}
        <Glance title={t.graphs.runs}>
          {seconds(status.uptime_s)}
          <small>Pypes {status.version}</small>
        </Glance>
      </dl>
    </section>
  );
}
