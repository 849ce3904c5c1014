import { useEffect, useMemo, useState } from "react";
import { get, path, query } from "../../api/http";
import { wayTo } from "../../model/way";
import { Button } from "../../parts/Button";
import { Problem } from "../../parts/Problem";
import { useFetched } from "../../parts/useFetched";
import { duration } from "../../parts/times";
import { address } from "../../router";
import { t } from "../../texts";
import type { Document, Documents, Receipt, Trace } from "./receipts";
import { EndOf, endOf } from "./StateOf";

const PAGE = 100;

interface Version {
  readonly graph: { readonly wires?: readonly (readonly [string, string])[] };
}

/** Each document of a delivery, or one of them: where it ended, and the way there. */
export function DocumentList({ receipt, trace, only }: { readonly receipt: Receipt; readonly trace: Trace | undefined; readonly only: number | undefined }) {
  const [after, setAfter] = useState<readonly (number | undefined)[]>([]);
  const [documents, setDocuments] = useState<readonly Document[]>();
  const [next, setNext] = useState<number | null>(null);
  const [error, setError] = useState<unknown>();
  const graph = useFetched<Version>(receipt.version === null ? undefined : path("graphs", receipt.graph, "versions", String(receipt.version)));
  const wires = useMemo(() => graph.value?.graph.wires ?? [], [graph.value]);

  useEffect(() => {
    const stop = new AbortController();
    const pages = only === undefined ? [undefined, ...after] : [only > 0 ? only - 1 : undefined];
    const fetchAll = async () => {
      const found: Document[] = [];
      let more: number | null = null;
      for (const each of pages) {
        const page: Documents = await get(`${path("receipts", receipt.receipt, "documents")}${query({ limit: only === undefined ? PAGE : 1, after: each })}`, { signal: stop.signal });
        found.push(...page.documents);
        more = page.next;
      }
      setDocuments(found);
      setNext(only === undefined ? more : null);
    };
    fetchAll().catch((problem: unknown) => !stop.signal.aborted && setError(problem));
    return () => stop.abort();
    // asked again when one more has come to its end
  }, [receipt.receipt, receipt.pending, only, after]);

  if (!documents) return error === undefined ? <p className="empty">{t.parts.loading}</p> : <Problem error={error} />;
  return (
    <section className="stack">
      <h2>{t.follow.documents}</h2>
      {only !== undefined && receipt.accepted > 1 && (
        <p className="dim">
          {t.follow.only} <a href={address(["follow"], { q: receipt.receipt })}>{t.follow.all}</a>
        </p>
      )}
      <ul className="documents">
        {documents.map((document) => (
          <li key={document.index} className="stack">
            <div className="row spread">
              <h3>{document.file ?? document.id ?? t.follow.document(document.index)}</h3>
              <EndOf document={document} />
            </div>
            <Way document={document} wires={wires} trace={trace} />
            <div className="row">
              {document.deadletter !== null && !document.replay && <a href={address(["repair", document.deadletter])}>{t.follow.repair}</a>}
              {document.replay && (
                <a href={address(["follow"], { q: document.replay.receipt, index: String(document.replay.index) })}>
                  {t.follow.ranAgain(t.follow.outcomes[document.replay.outcome ?? "pending"])}
                </a>
              )}
              {document.origin && <a href={address(["follow"], { q: document.origin.receipt, index: String(document.origin.index) })}>{t.follow.earlier}</a>}
            </div>
          </li>
        ))}
      </ul>
      {documents.length > 0 && wires.length > 0 && !trace && <p className="dim">{t.follow.wayHelp}</p>}
      {next !== null && (
        <div>
          <Button onClick={() => setAfter([...after, next])}>{t.follow.more}</Button>
        </div>
      )}
    </section>
  );
}

/** The filters that a document passed, as its trace tells, with their times; without one those that lead to its end. */
function Way({ document, wires, trace }: { readonly document: Document; readonly wires: readonly (readonly [string, string])[]; readonly trace: Trace | undefined }) {
  const ends = document.outcome === "published" ? document.publishers : document.filter ? [document.filter] : [];
  const steps = trace && document.index < trace.shown ? trace.steps.filter((step) => step.in.some((packet) => packet.documents.includes(document.index))) : undefined;
  const filters = steps?.map((step) => ({ name: step.filter, ms: step.ms })) ?? wayTo(ends, wires).map((name) => ({ name, ms: undefined }));
  return (
    <ol className="way" aria-label={t.follow.way}>
      <li>{t.follow.posted}</li>
      {filters.map(({ name, ms }) => (
        <li key={name} className={ends.includes(name) ? document.outcome : ""} title={ends.includes(name) ? endOf(document) : undefined}>
          {name} {ms !== undefined && <span>{duration(ms)}</span>}
        </li>
      ))}
    </ol>
  );
}
