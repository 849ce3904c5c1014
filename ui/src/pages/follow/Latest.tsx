import { Empty } from "../../parts/Empty";
import { Problem } from "../../parts/Problem";
import { ago, moment } from "../../parts/times";
import { useFetched } from "../../parts/useFetched";
import { address } from "../../router";
import { t } from "../../texts";
import type { Receipt } from "./receipts";
import { StateOf } from "./StateOf";

/** The newest receipts, to begin with. */
export function Latest() {
  const { value, error, again } = useFetched<{ readonly receipts: readonly Receipt[] }>("receipts?limit=20", 5000);
  if (value === undefined) return error === undefined ? <p className="empty">{t.parts.loading}</p> : <Problem error={error} onRetry={again} />;
  if (!value.receipts.length) return <Empty title={t.follow.latestNone} />;
  return (
    <section className="stack">
      <h2>{t.follow.latest}</h2>
      <ul className="places">
        {value.receipts.map((receipt) => (
          <li key={receipt.receipt}>
            <a href={address(["follow"], { q: receipt.receipt })}>
              <span className="mono">{receipt.receipt}</span>
            </a>
            <span>{receipt.graph}</span>
            <StateOf receipt={receipt} />
            <time className="dim" dateTime={receipt.received} title={moment(receipt.received)}>
              {ago(receipt.received)}
            </time>
          </li>
        ))}
      </ul>
    </section>
  );
}
