import { failingLine } from "../../model/traceback";
import { LongText } from "../../parts/LongText";
import { moment } from "../../parts/times";
import { address } from "../../router";
import { t } from "../../texts";
import type { WholeLetter } from "./letters";

/** Why a document failed: the error, and the line of its component that raised it. */
export function Reason({ letter }: { readonly letter: WholeLetter }) {
  const failing = failingLine(letter.traceback);
  return (
    <aside className="stack reason" aria-label={t.repair.cause}>
      <section className="problem">
        <p>
          <strong>{letter.error}</strong>
        </p>
        <p>
          <code>{letter.code}</code> {letter.filter ? t.repair.inFilter(letter.filter) : t.repair.beforeFilters}
        </p>
        {letter.filter && (
          <p>
            <a href={address(["graphs", letter.graph, "compose"], { filter: letter.filter })}>{t.watch.changeParams}</a>
          </p>
        )}
      </section>
      {letter.failures !== undefined && <p className="warning">{t.repair.many(letter.failures, letter.documents ?? 0)}</p>}
      {failing && (
        <section className="card stack">
          <h2>{t.repair.source}</h2>
          {failing.source && <pre className="source">{failing.source}</pre>}
          <p className="dim mono">{t.repair.failedAt(failing.file, failing.line, failing.within)}</p>
          <details>
            <summary>{t.repair.traceback}</summary>
            <LongText text={letter.traceback} label={t.repair.traceback} />
          </details>
        </section>
      )}
    </aside>
  );
}

/** What else is known of a dead letter, with links to its file, its document, its receipt and its graph. */
export function Facts({ letter }: { readonly letter: WholeLetter }) {
  const { document } = letter;
  return (
      <section className="card stack about" aria-label={t.repair.facts}>
        <h2>{t.repair.facts}</h2>
        <dl className="facts">
          <Fact name={t.repair.criterion.file}>{document.file !== null && <a href={address(["follow"], { q: document.file })}>{document.file}</a>}</Fact>
          <Fact name={t.repair.criterion.id}>{document.id !== null && <a href={address(["follow"], { q: document.id })}>{document.id}</a>}</Fact>
          <Fact name={t.repair.document}>{document.index === null ? t.repair.wholeDelivery : t.repair.documentAt(document.index)}</Fact>
          <Fact name={t.repair.receipt}>
            <a className="mono" href={address(["follow"], { q: letter.receipt })}>
              {letter.receipt}
            </a>
          </Fact>
          <Fact name={t.repair.graph}>
            <a href={address(["graphs", letter.graph], letter.filter ? { filter: letter.filter } : {})}>{letter.version === null ? letter.graph : t.repair.version(letter.graph, letter.version)}</a>
          </Fact>
          <Fact name={t.repair.component}>{letter.component}</Fact>
          <Fact name={t.repair.route}>{document.route}</Fact>
          <Fact name={t.repair.time}>
            <time dateTime={letter.time}>{moment(letter.time)}</time>
          </Fact>
          <Fact name={t.repair.attempts}>{String(letter.attempts)}</Fact>
        </dl>
      </section>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: React.ReactNode }) {
  if (!children) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
