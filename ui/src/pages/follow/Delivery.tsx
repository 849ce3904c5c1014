import { type ReactNode, useEffect, useState } from "react";
import { get, path } from "../../api/http";
import { Problem } from "../../parts/Problem";
import { duration, moment } from "../../parts/times";
import { address } from "../../router";
import { t } from "../../texts";
import { DocumentList } from "./DocumentList";
import type { Receipt } from "./receipts";
import { StateOf } from "./StateOf";
import { Steps, useTrace } from "./Steps";

/** Seconds that the node waits for the end before it answers. */
const WAIT_S = 5;

/** One delivery: its state and times, each of its documents, and its steps if it was traced. */
export function Delivery({ first, index }: { readonly first: Receipt; readonly index: number | undefined }) {
  const [receipt, setReceipt] = useState(first);
  const [error, setError] = useState<unknown>();
  const traced = useTrace(receipt);
  useEffect(() => {
    if (receipt.pending === 0) return undefined;
    const stop = new AbortController();
    get<Receipt>(`${path("receipts", receipt.receipt)}?wait=${WAIT_S}`, { signal: stop.signal, isUnasked: true }).then(
      (next) => !stop.signal.aborted && setReceipt(next),
      (problem: unknown) => !stop.signal.aborted && setError(problem),
    );
    return () => stop.abort();
  }, [receipt]);
  return (
    <>
      {error !== undefined && <Problem error={error} />}
      <section className="card stack">
        <div className="row spread">
          <h2 className="mono">{receipt.receipt}</h2>
          <StateOf receipt={receipt} />
        </div>
        {receipt.reason && (
          <p className="warning">
            {t.follow.reason}: {receipt.reason}
          </p>
        )}
        <dl className="facts">
          <Fact name={t.repair.graph}>
            <a href={address(["graphs", receipt.graph])}>{receipt.version === null ? receipt.graph : t.repair.version(receipt.graph, receipt.version)}</a>
          </Fact>
          <Fact name={t.follow.counts}>{counts(receipt)}</Fact>
          <Fact name={t.follow.received}>
            <time dateTime={receipt.received}>{moment(receipt.received)}</time>
          </Fact>
          <Fact name={t.follow.started}>{receipt.started && t.follow.after(between(receipt.received, receipt.started))}</Fact>
          <Fact name={t.follow.finished}>{receipt.started && receipt.finished && t.follow.took(between(receipt.started, receipt.finished))}</Fact>
          <Fact name={t.follow.postedBy}>{receipt.posted_by}</Fact>
          <Fact name={t.follow.replayOf}>
            {receipt.replay_of && (
              <>
                <a className="mono" href={address(["follow"], { q: receipt.replay_of.receipt })}>
                  {receipt.replay_of.receipt}
                </a>{" "}
                {receipt.replay_of.start && t.follow.replayStart(receipt.replay_of.start)}
              </>
            )}
          </Fact>
          <Fact name={t.follow.replays}>
            {receipt.replays && receipt.replays.length > 0 && (
              <ul className="plain">
                {receipt.replays.map((each) => (
                  <li key={each.receipt}>
                    <a className="mono" href={address(["follow"], { q: each.receipt })}>
                      {each.receipt}
                    </a>{" "}
                    {t.follow.replayed(each.documents)} <StateOf receipt={each} />
                  </li>
                ))}
              </ul>
            )}
          </Fact>
          <Fact name={t.follow.removed}>
            {receipt.removed &&
              Object.entries(receipt.removed)
                .map(([filter, count]) => `${filter}: ${count}`)
                .join(", ")}
          </Fact>
        </dl>
      </section>
      <DocumentList receipt={receipt} trace={traced.trace} only={index} />
      <Steps receipt={receipt} {...traced} only={index} />
    </>
  );
}

function counts(receipt: Receipt): string {
  const ends = (["published", "dropped", "failed", "pending"] as const).filter((name) => receipt[name] > 0).map((name) => `${receipt[name]} ${t.follow[name]}`);
  return [`${receipt.accepted} ${t.follow.accepted}`, ...ends].join(", ");
}

const between = (begin: string, end: string): string => duration(Math.max(Date.parse(end) - Date.parse(begin), 0));

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  if (!children) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
