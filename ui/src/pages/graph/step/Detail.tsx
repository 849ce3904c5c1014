/** One step: a packet before and after a filter, what differs, how long it took, and what went wrong. */

import { ChevronDown, ChevronLeft, ChevronRight, ChevronUp, Pin, PinOff, SlidersHorizontal } from "lucide-react";
import { exact } from "../../../model/exact";
import { type PacketParts, changes, partsOf } from "../../../model/packet";
import { Button } from "../../../parts/Button";
import { DiffView } from "../../../parts/DiffView";
import { LongText } from "../../../parts/LongText";
import { PacketView } from "../../../parts/PacketView";
import { duration } from "../../../parts/times";
import { t } from "../../../texts";
import { type Fate, type Form, type Report, type Sent, type Spot, callsOf, failureOf, formOf, formerSpot, nextSpots, sentOf, stepOf } from "./report";

const FATES: Readonly<Record<Fate, "ok" | "warn" | "bad" | "off">> = { sent: "ok", published: "ok", dropped: "warn", failed: "bad", none: "off" };
/** Metadata that each run gives anew: that it differs says nothing. */
const FLEETING: ReadonlySet<string> = new Set(["receipt", "processingtime"]);

const parts = (form: Form): PacketParts => partsOf(exact(form));

function Cut({ form }: { readonly form: Form }) {
  const cut = Object.entries(form.cut ?? {});
  if (cut.length === 0) return null;
  return <p className="dim">{cut.map(([where, length]) => t.step.cut(where, length)).join(" ")}</p>;
}

function Packet({ title, form, before }: { readonly title: string; readonly form: Form; readonly before?: Form | undefined }) {
  return (
    <section className="side-of-bench" aria-label={title}>
      <h3>{title}</h3>
      {form.left_out ? (
        <p className="dim">{t.step.leftOut}</p>
      ) : (
        <>
          <PacketView packet={parts(form)} before={before && !before.left_out ? parts(before) : undefined} />
          <Cut form={form} />
        </>
      )}
    </section>
  );
}

/** What was pinned, against what the last run made in its place. */
export interface Pinned {
  readonly spot: Spot;
  readonly form: Form;
}

export function PinnedView({ pinned, now, onGo, onUnpin }: { readonly pinned: Pinned; readonly now: Form | undefined; readonly onGo: () => void; readonly onUnpin: () => void }) {
  const [was, is] = [parts(pinned.form), now && parts(now)];
  const lasting = (meta: PacketParts["meta"]) => new Map([...meta].filter(([key]) => !FLEETING.has(key)));
  const areMetaOther = is && changes(lasting(was.meta), lasting(is.meta)).some(({ kind }) => kind !== "same");
  return (
    <section className="pinned" aria-label={t.step.pinned}>
      <header className="row spread">
        <h2>
          <Pin size={14} aria-hidden /> {t.step.pinnedAt(pinned.spot.filter)}
        </h2>
        <span className="row">
          <Button kind="plain" onClick={onGo}>
            {t.step.toPinned}
          </Button>
          <Button kind="plain" icon={<PinOff size={16} aria-hidden />} name={t.step.unpin} onClick={onUnpin} />
        </span>
      </header>
      <div aria-live="polite">
        {is ? (
          <>
            <DiffView before={was.fields} after={is.fields} label={t.step.pinnedFields} />
            {areMetaOther && <DiffView before={lasting(was.meta)} after={lasting(is.meta)} label={t.step.pinnedMeta} />}
          </>
        ) : (
          <p className="state warn">{t.step.pinnedGone}</p>
        )}
      </div>
    </section>
  );
}

export interface DetailProps {
  readonly report: Report;
  readonly spot: Spot;
  readonly fate: Fate;
  readonly isPinned: boolean;
  readonly onGo: (spot: Spot) => void;
  readonly onPin: (form: Form) => void;
  /** Whether the parameters of the filter are beside it. */
  readonly isFormOpen: boolean;
  readonly onForm: () => void;
}

/** Where the packet goes on, or why it does not. */
function Onward({ report, spot, fate, onGo }: DetailProps) {
  const next = nextSpots(report, spot);
  if (fate === "dropped") return <p className="state warn">{t.step.isDropped}</p>;
  if (fate === "published") return <p className="state ok">{t.step.isPublished}</p>;
  if (fate === "none") return <p className="dim">{t.step.noPacket}</p>;
  if (fate !== "sent") return null;
  if (next.length === 0) return <p className="dim">{t.step.looseEnd}</p>;
  return (
    <p className="dim row">
      {t.step.goesOn}
      {next.map((each) => (
        <button key={`${each.filter} ${each.at}`} type="button" className="link" onClick={() => onGo(each)}>
          {each.filter}
        </button>
      ))}
    </p>
  );
}

function SentChoice({ all, spot, onGo }: { readonly all: readonly Sent[]; readonly spot: Spot; readonly onGo: (spot: Spot) => void }) {
  if (all.length < 2) return null;
  return (
    <label className="row packet-choice">
      <span className="dim">{t.step.madeOf(all.length)}</span>
      <select value={spot.sent} onChange={(event) => onGo({ ...spot, sent: Number(event.target.value) })}>
        {all.map((sent, at) => (
          <option key={at} value={at}>
            {sent.port} {sent.index + 1}
          </option>
        ))}
      </select>
    </label>
  );
}

export function Detail(props: DetailProps) {
  const { report, spot, fate, isPinned, onGo, onPin, isFormOpen, onForm } = props;
  const step = stepOf(report, spot.filter);
  if (!step) return null;
  const [before, sent] = [step.in[spot.at], sentOf(step, spot.at)];
  const after = formOf(step, sent[spot.sent]);
  const failure = failureOf(report, spot);
  const calls = callsOf(step, spot.at);
  const [former, next] = [formerSpot(report, spot), nextSpots(report, spot)[0]];
  const attempts = Math.max(failure?.attempts ?? 0, ...calls.map((call) => call.attempt), 0);
  const spent = calls.reduce((sum, call) => sum + call.ms, 0);
  return (
    <section className="bench-detail" aria-label={t.step.detail}>
      <header className="row">
        <Button kind="plain" name={t.step.back} icon={<ChevronLeft size={16} aria-hidden />} refused={former ? undefined : t.step.isFirst} onClick={() => former && onGo(former)} />
        <Button kind="plain" name={t.step.forward} icon={<ChevronRight size={16} aria-hidden />} refused={next ? undefined : t.step.isLast} onClick={() => next && onGo(next)} />
        <h2>{spot.filter}</h2>
        <span className="dim">{step.component}</span>
        <span className={`state ${FATES[fate]}`} role="status">
          {t.step.fates[fate]}
        </span>
        <span className="end row">
          {calls.length > 0 && <span className="dim">{duration(spent)}</span>}
          {attempts > 1 && <span className="chip warn">{t.step.attempts(attempts)}</span>}
          {step.in.length > 1 && (
            <span className="row">
              <Button kind="plain" name={t.step.formerPacket} icon={<ChevronUp size={16} aria-hidden />} refused={spot.at > 0 ? undefined : t.step.isFirstPacket} onClick={() => onGo({ ...spot, at: spot.at - 1, sent: 0 })} />
              <span>{t.step.packetOf(spot.at + 1, step.counts.in)}</span>
              <Button
                kind="plain"
                name={t.step.nextPacket}
                icon={<ChevronDown size={16} aria-hidden />}
                refused={spot.at < step.in.length - 1 ? undefined : t.step.isLastPacket}
                onClick={() => onGo({ ...spot, at: spot.at + 1, sent: 0 })}
              />
            </span>
          )}
          <SentChoice all={sent} spot={spot} onGo={onGo} />
          <Button icon={<SlidersHorizontal size={16} aria-hidden />} aria-pressed={isFormOpen} onClick={onForm}>
            {t.step.params}
          </Button>
          {after && (
            <Button icon={<Pin size={16} aria-hidden />} aria-pressed={isPinned} onClick={() => onPin(after)}>
              {t.step.pin}
            </Button>
          )}
        </span>
      </header>
      <div className="sides-of-bench">
        {before && <Packet title={t.step.before} form={before} />}
        {after && <Packet title={t.step.after} form={after} before={before} />}
        {failure && (
          <section className="side-of-bench problem" aria-label={t.step.failure}>
            <h3>{t.step.failed}</h3>
            <p>
              {failure.error} <code>{failure.code}</code>
            </p>
            {failure.traceback && (
              <details>
                <summary>{t.step.traceback}</summary>
                <LongText text={failure.traceback} label={t.step.traceback} />
              </details>
            )}
          </section>
        )}
      </div>
      <Onward {...props} />
    </section>
  );
}
