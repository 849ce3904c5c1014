import { ChevronLeft, ChevronRight } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { ask, path, query } from "../../api/http";
import { useCommands } from "../../commands/commands";
import { Button } from "../../parts/Button";
import { PacketView } from "../../parts/PacketView";
import { Problem } from "../../parts/Problem";
import { duration } from "../../parts/times";
import { t } from "../../texts";
import { type Receipt, type Seen, type Step, type Trace, traceOf } from "./receipts";

export interface TraceState {
  readonly trace: Trace | undefined;
  /** The code that says why there is none. */
  readonly missing: string | undefined;
  readonly error: unknown;
}

/** The trace of a delivery that has come to its end. */
export function useTrace(receipt: Receipt): TraceState {
  const [trace, setTrace] = useState<Trace>();
  const [missing, setMissing] = useState<string>();
  const [error, setError] = useState<unknown>();
  const isOver = receipt.pending === 0;
  useEffect(() => {
    if (!isOver) return undefined;
    const stop = new AbortController();
    ask<string>("GET", `${path("receipts", receipt.receipt, "trace")}${query({ or: "nothing" })}`, { asText: true, signal: stop.signal })
      .then(({ body, headers }) => (body ? setTrace(traceOf(body)) : setMissing(headers.get("pypes-code") ?? "")))
      .catch((problem: unknown) => !stop.signal.aborted && setError(problem));
    return () => stop.abort();
  }, [receipt.receipt, isOver]);
  return { trace, missing, error };
}

/** What each filter did with a delivery that was traced, one step at a time. */
export function Steps({ receipt, trace, missing, error, only }: TraceState & { readonly receipt: Receipt; readonly only: number | undefined }) {
  return (
    <section className="stack steps">
      <h2>{t.follow.steps}</h2>
      {receipt.pending > 0 && <p className="dim">{t.follow.notFinished}</p>}
      {missing !== undefined && <p className="dim">{missing === "trace.not_traced" ? t.follow.notTraced : t.follow.traceForgotten}</p>}
      {error !== undefined && <Problem error={error} />}
      {trace && <Traced trace={trace} only={only} />}
    </section>
  );
}

function Traced({ trace, only }: { readonly trace: Trace; readonly only: number | undefined }) {
  const [at, setAt] = useState(0);
  const [whose, setWhose] = useState(only ?? (trace.shown > 1 ? undefined : 0));
  const { steps } = trace;
  const step = steps[at];
  const slowest = Math.max(...steps.map((each) => each.ms), 0.001);
  const commands = useMemo(
    () => [
      { id: "step-next", name: t.follow.next, keys: "ArrowRight", run: () => setAt((before) => Math.min(before + 1, steps.length - 1)) },
      { id: "step-previous", name: t.follow.previous, keys: "ArrowLeft", run: () => setAt((before) => Math.max(before - 1, 0)) },
    ],
    [steps.length],
  );
  useCommands(commands);
  if (!step) return null;
  return (
    <>
      {trace.run > 1 && <p className="warning">{t.follow.run(trace.run)}</p>}
      {trace.shown < trace.documents && <p className="dim">{t.follow.shown(trace.shown, trace.documents)}</p>}
      <div className="traced">
        <ol className="step-list">
          {steps.map((each, position) => (
            <li key={each.filter}>
              <button type="button" aria-current={position === at ? "step" : undefined} onClick={() => setAt(position)}>
                <strong>{each.filter}</strong>
                <span className="dim">{each.component}</span>
                <span className="number">{duration(each.ms)}</span>
                <span className="dim">{t.follow.inOut(each.packets_in, total(each))}</span>
                {ends(each).map(([kind, text]) => (
                  <span key={text} className={`chip ${kind}`}>
                    {text}
                  </span>
                ))}
                <span className="busy" aria-hidden style={{ width: `${(100 * each.ms) / slowest}%` }} />
              </button>
            </li>
          ))}
        </ol>
        <div className="card stack">
          <div className="row spread">
            <h3>
              <span role="status">
                {t.follow.step(at + 1, steps.length)}: {step.filter}
              </span>
            </h3>
            <div className="row">
              {trace.shown > 1 && (
                <select aria-label={t.follow.whose} value={whose ?? ""} onChange={(event) => setWhose(event.target.value === "" ? undefined : Number(event.target.value))}>
                  <option value="">{t.follow.everybody}</option>
                  {Array.from({ length: trace.shown }, (_, index) => (
                    <option key={index} value={index}>
                      {t.follow.document(index)}
                    </option>
                  ))}
                </select>
              )}
              <Button kind="plain" name={t.follow.previous} icon={<ChevronLeft size={16} aria-hidden />} onClick={() => setAt(Math.max(at - 1, 0))} />
              <Button kind="plain" name={t.follow.next} icon={<ChevronRight size={16} aria-hidden />} onClick={() => setAt(Math.min(at + 1, steps.length - 1))} />
            </div>
          </div>
          <StepView step={step} whose={whose} />
        </div>
      </div>
    </>
  );
}

const total = (step: Step): number => Object.values(step.packets_out).reduce((sum, count) => sum + count, 0);

function ends(step: Step): readonly (readonly [kind: string, text: string])[] {
  const found: (readonly [string, string])[] = [];
  if (step.published) found.push(["ok", `${step.published} ${t.follow.published}`]);
  if (step.dropped) found.push(["", `${step.dropped} ${t.follow.dropped}`]);
  if (step.kept) found.push(["", t.follow.kept(step.kept)]);
  if (step.failed) found.push(["bad", `${step.failed} ${t.follow.failed}`]);
  if (step.attempts > 1) found.push(["warn", t.follow.attempts(step.attempts)]);
  if (step.waited_ms > 0) found.push(["", t.follow.waited(duration(step.waited_ms))]);
  return found;
}

function StepView({ step, whose }: { readonly step: Step; readonly whose: number | undefined }) {
  const mine = (documents: readonly number[]): boolean => whose === undefined || documents.includes(whose);
  const into = step.in.filter((each) => mine(each.documents));
  const out = step.out.map(([port, packets]) => [port, packets.filter((each) => mine(each.documents))] as const).filter(([, packets]) => packets.length > 0);
  const errors = step.errors.filter((each) => mine(each.documents));
  // what went in for it, if it is one packet that became this one
  const before = (packet: Seen): Seen | undefined => {
    const same = into.filter((each) => each.documents.join() === packet.documents.join());
    return same.length === 1 ? same[0] : undefined;
  };
  return (
    <>
      {errors.map((each, position) => (
        <p key={position} className="problem">
          <code>{each.code}</code> {each.error} <span className="dim">({each.is_final ? t.follow.final : t.follow.again})</span>
        </p>
      ))}
      {into.length === 0 && <p className="dim">{t.follow.nothingIn}</p>}
      {into.map((each, position) => (
        <details key={position} open={out.length === 0 && position === 0}>
          <summary>
            {t.follow.into}: {names(each)}
          </summary>
          <PacketView packet={each.packet} />
        </details>
      ))}
      {into.length > 0 && out.length === 0 && <p className="dim">{t.follow.nothingOut}</p>}
      {out.map(([port, packets]) =>
        packets.map((each, position) => (
          <details key={`${port} ${position}`} open={position === 0}>
            <summary>
              {t.follow.out(port)}: {names(each)}
            </summary>
            <PacketView packet={each.packet} before={before(each)?.packet} />
          </details>
        )),
      )}
    </>
  );
}

const names = ({ documents }: Seen): string => documents.map(t.follow.document).join(", ");
