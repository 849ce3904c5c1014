/** The draft beside what is live, on copies of the documents that come in: how much became otherwise, drawn. */

import { Ghost, Square } from "lucide-react";
import { useState } from "react";
import { ApiError, path } from "../../../api/http";
import { exact } from "../../../model/exact";
import type { GraphDoc } from "../../../model/graph";
import { Button } from "../../../parts/Button";
import { ValueDiff } from "../../../parts/DiffView";
import { notify } from "../../../parts/Notices";
import { Problem, messageOf } from "../../../parts/Problem";
import { duration } from "../../../parts/times";
import { useFetched } from "../../../parts/useFetched";
import { t } from "../../../texts";
import { type Example, type ShadowReport, endShadow, isOver, keepShadow, startShadow, sumsOf } from "./shadows";

const AGAIN_MS = 1000;
const USUAL = 100;
const MOST = 100_000;

/** A bar of parts, each with its number beside it in words. */
function Parts({ label, parts }: { readonly label: string; readonly parts: readonly { readonly kind: string; readonly text: string; readonly count: number }[] }) {
  return (
    <figure className="parts" aria-label={label}>
      <div className="parts-bar" aria-hidden>
        {parts.map(({ kind, count }) => count > 0 && <span key={kind} className={kind} style={{ flexGrow: count }} />)}
      </div>
      <figcaption className="row">
        {parts.map(({ kind, text }) => (
          <span key={kind} className={`state ${kind}`}>
            {text}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

function Bar({ share, kind, text }: { readonly share: number; readonly kind: string; readonly text: string }) {
  return (
    <span className="time-bar">
      <span className="track" aria-hidden>
        <span className={kind} style={{ transform: `scaleX(${share.toFixed(4)})` }} />
      </span>
      <span className="number">{text}</span>
    </span>
  );
}

function Times({ report }: { readonly report: ShadowReport }) {
  const filters = Object.entries(report.filters ?? {});
  if (filters.length === 0) return null;
  const most = Math.max(...filters.flatMap(([, each]) => [each.live_ms ?? 0, each.candidate_ms ?? 0]), 1e-9);
  const per = (ms: number | undefined) => (ms === undefined ? t.versions.notThere : duration(ms / Math.max(report.documents, 1)));
  return (
    <section className="stack">
      <h3>{t.versions.times}</h3>
      <div className="table times">
        <table aria-label={t.versions.times}>
          <thead>
            <tr>
              <th scope="col">{t.versions.filter}</th>
              <th scope="col">{t.versions.liveVersion(report.version)}</th>
              <th scope="col">{t.versions.draft}</th>
            </tr>
          </thead>
          <tbody>
            {filters.map(([name, { live_ms: was, candidate_ms: is }]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  <Bar share={(was ?? 0) / most} kind="off" text={per(was)} />
                </td>
                <td>
                  <Bar share={(is ?? 0) / most} kind="accent" text={per(is)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Publishers({ report }: { readonly report: ShadowReport }) {
  const found = Object.entries(report.publishers ?? {});
  return found.map(([name, { missing, added, changed, fields }]) => {
    const most = Math.max(...Object.values(fields), 1);
    return (
      <section key={name} className="stack">
        <h3>{t.versions.atPublisher(name)}</h3>
        <p>{t.versions.packets(changed, missing, added)}</p>
        {Object.keys(fields).length > 0 && (
          <div className="table times">
            <table aria-label={t.versions.fieldsOf(name)}>
              <tbody>
                {Object.entries(fields)
                  .sort(([, one], [, other]) => other - one)
                  .map(([field, count]) => (
                    <tr key={field}>
                      <th scope="row">{field}</th>
                      <td>
                        <Bar share={count / most} kind="warn" text={t.versions.differs(count)} />
                      </td>
                    </tr>
                  ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
    );
  });
}

function Shown({ example }: { readonly example: Example }) {
  const { what, fields, packet, live, candidate, publisher } = example;
  const pairs = Object.entries(fields ?? {}).map(([field, [was, is]]) => ({ field, was, is }));
  const one = Object.entries(packet?.fields ?? {}).map(([field, value]) => ({ field, was: what === "missing" ? value : undefined, is: what === "added" ? value : undefined }));
  const rows = [...pairs, ...one];
  const ends = [live, candidate].map((side) => [side?.fate ?? "", ...(side?.failures ?? []).map((failure) => failure.error ?? "")].filter(Boolean).join(": "));
  return (
    <li className="card">
      <p>
        <strong>{what === "fate" ? t.versions.otherFate : t.versions.whats[what](publisher ?? "")}</strong> <span className="dim mono">{example.receipt}</span>
      </p>
      {what === "fate" && <ValueDiff before={ends[0] ?? ""} after={ends[1] ?? ""} />}
      {rows.length > 0 && (
        <div className="diff">
          <table aria-label={t.versions.valuesOf}>
            <tbody>
              {rows.map(({ field, was, is }) => (
                <tr key={field}>
                  <th scope="row">{field}</th>
                  <td>
                    <ValueDiff before={was === undefined ? undefined : exact(was)} after={is === undefined ? undefined : exact(is)} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </li>
  );
}

function Found({ report }: { readonly report: ShadowReport }) {
  const sums = sumsOf(report);
  const examples = report.examples ?? [];
  return (
    <>
      <Parts
        label={t.versions.outcome}
        parts={[
          { kind: "ok", text: t.versions.sameCount(sums.same), count: sums.same },
          { kind: "warn", text: t.versions.differentCount(sums.different), count: sums.different },
          { kind: "bad", text: t.versions.failedCount(sums.failed), count: sums.failed },
        ]}
      />
      {report.missed > 0 && <p className="dim">{t.versions.missed(report.missed)}</p>}
      {(report.fates ?? []).length > 0 && (
        <section className="stack">
          <h3>{t.versions.fates}</h3>
          <ul>
            {report.fates?.map(({ live, candidate, documents }) => (
              <li key={`${live} ${candidate}`}>{t.versions.fate(live, candidate, documents)}</li>
            ))}
          </ul>
        </section>
      )}
      <Publishers report={report} />
      <Times report={report} />
      {examples.length > 0 && (
        <section className="stack">
          <h3>{t.versions.examples}</h3>
          <ul className="examples">
            {examples.map((example, at) => (
              <Shown key={at} example={example} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Begin({ name, draft, refused, onStarted }: { readonly name: string; readonly draft: GraphDoc; readonly refused: string | undefined; readonly onStarted: (id: string) => void }) {
  const [documents, setDocuments] = useState(USUAL);
  const [error, setError] = useState<unknown>(undefined);
  const [isBusy, setBusy] = useState(false);
  const isFitting = Number.isInteger(documents) && documents > 0 && documents <= MOST;
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (refused !== undefined || !isFitting || isBusy) return;
        setBusy(true);
        setError(undefined);
        startShadow(name, draft, documents)
          .then((id) => {
            keepShadow(name, id);
            onStarted(id);
          })
          .catch(setError)
          .finally(() => setBusy(false));
      }}
    >
      <p>{t.versions.shadowHelp}</p>
      <div className="field documents-field">
        <label htmlFor="shadow-documents">{t.versions.howMany}</label>
        <input id="shadow-documents" type="number" min={1} max={MOST} value={Number.isNaN(documents) ? "" : documents} aria-invalid={!isFitting} onChange={(event) => setDocuments(event.target.valueAsNumber)} />
      </div>
      {error !== undefined && <Problem error={error} />}
      <div className="row">
        <Button type="submit" kind="primary" icon={<Ghost size={16} aria-hidden />} refused={refused ?? (isFitting ? undefined : t.versions.wrongNumber(MOST))}>
          {t.versions.startShadow}
        </Button>
      </div>
    </form>
  );
}

function Running({ name, id, refused, onAnew }: { readonly name: string; readonly id: string; readonly refused: string | undefined; readonly onAnew: () => void }) {
  const [isOld, setOld] = useState(false);
  const { value: report, error, again } = useFetched<ShadowReport>(path("graphs", name, "shadow", id), isOld ? 0 : AGAIN_MS);
  if (report && isOver(report) && !isOld) setOld(true);
  if (error !== undefined && !report) {
    const isGone = error instanceof ApiError && error.status === 404;
    return (
      <div className="stack">
        {isGone ? <p>{t.versions.shadowGone}</p> : <Problem error={error} onRetry={again} />}
        <Button onClick={onAnew}>{t.versions.anotherShadow}</Button>
      </div>
    );
  }
  if (!report) return <p className="dim">{t.parts.loading}</p>;
  const end = () =>
    void endShadow(name, id)
      .catch((problem: unknown) => notify({ text: messageOf(problem), kind: "bad" }))
      .finally(again);
  return (
    <div className="stack">
      <div className="row spread">
        <p role="status">
          <strong>{t.versions.shadowStates[report.state]}</strong> {t.versions.seenOf(report.documents, report.wanted)}
        </p>
        {isOver(report) ? (
          <Button onClick={onAnew}>{t.versions.anotherShadow}</Button>
        ) : (
          <Button kind="danger" icon={<Square size={14} aria-hidden />} refused={refused} onClick={end}>
            {t.versions.endShadow}
          </Button>
        )}
      </div>
      <progress value={report.documents} max={report.wanted} aria-label={t.versions.shadowProgress} />
      {report.error && (
        <div className="problem" role="alert">
          <p>{report.error.message}</p>
          {report.error.where && <code>{report.error.where}</code>}
        </div>
      )}
      {report.documents > 0 ? <Found report={report} /> : !isOver(report) && <p className="dim">{t.versions.waitsForDocuments}</p>}
    </div>
  );
}

export interface ShadowProps {
  readonly name: string;
  /** `new`, or the id of one that was started. */
  readonly id: string;
  readonly draft: GraphDoc | undefined;
  readonly refused: string | undefined;
  readonly onGo: (id: string) => void;
}

export function Shadow({ name, id, draft, refused, onGo }: ShadowProps) {
  return (
    <div className="shadow">
      <h2>{t.versions.shadowTitle}</h2>
      {id !== "new" ? (
        <Running key={id} {...{ name, id, refused }} onAnew={() => onGo("new")} />
      ) : draft ? (
        <Begin {...{ name, draft, refused }} onStarted={onGo} />
      ) : (
        <p>{t.versions.noDraft}</p>
      )}
    </div>
  );
}
