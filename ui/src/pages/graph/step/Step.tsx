/** Sending a sample through a graph, and going through what became of it, filter by filter. */

import { BadgeCheck, FlaskConical, RotateCw } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useCommands } from "../../../commands/commands";
import * as gestures from "../../../model/gestures";
import { type GraphDoc, filtersOf, wireKey } from "../../../model/graph";
import { type JsonObject, own, said } from "../../../model/json";
import { outermost } from "../../../model/composites";
import { specOf } from "../../../model/ports";
import { Button } from "../../../parts/Button";
import { Empty } from "../../../parts/Empty";
import { familyOf } from "../../../parts/Icon";
import { notify } from "../../../parts/Notices";
import { Problem, messageOf } from "../../../parts/Problem";
import { Tabs } from "../../../parts/Tabs";
import { duration } from "../../../parts/times";
import { address } from "../../../router";
import { t } from "../../../texts";
import { Canvas } from "../canvas/Canvas";
import type { Badge, Mark } from "../canvas/flow";
import { Editing } from "../compose/Editing";
import type { DraftState } from "../compose/draft";
import { FilterForm } from "../compose/form/FilterForm";
import { type Drafted, useDraft } from "../compose/useDraft";
import type { TabProps } from "../tabs";
import { Detail, type Pinned, PinnedView } from "./Detail";
import { type Report, type Spot, fateOf, firstSpot, formOf, formerSpot, nextSpots, sameSpot, sentOf, stepOf, wayOf } from "./report";
import { type Sample, testNameOf } from "./samples";
import { SampleForm } from "./SampleForm";
import { Tests } from "./Tests";
import { type TestReport, dryRun, runTests } from "./trials";
import { useTrial } from "./useTrial";
import "../../../style/compose.css";
import "../../../style/packet.css";
import "../../../style/step.css";

/** Widths up to this one, in pixels, have one thing below the other (step.css). */
const NARROW = 900;

const tell = (error: unknown): void => void notify({ text: messageOf(error), kind: "bad" });

/** Filters with their time and what failed, wires on the way of the packet. */
function drawn(doc: GraphDoc, report: Report | undefined, spot: Spot | undefined, tests: TestReport | undefined) {
  const badges = new Map<string, Badge>();
  const marks = new Map<string, Mark>();
  for (const step of report?.steps ?? []) {
    const failed = report?.failures.filter((failure) => failure.filter === step.filter).length ?? 0;
    if (failed) badges.set(step.filter, { text: t.step.failedShort(failed), kind: "bad", says: t.step.failedCount(failed) });
    else if (step.dropped) badges.set(step.filter, { text: t.step.droppedShort(step.dropped), kind: "warn", says: t.step.droppedCount(step.dropped) });
    else if (step.calls.length) badges.set(step.filter, { text: duration(step.ms), kind: "off", says: t.step.took(duration(step.ms)) });
    if (failed) marks.set(step.filter, { kind: "failed" });
    else if (step.calls.length === 0) marks.set(step.filter, { kind: "dim", says: t.step.noPacket });
  }
  for (const name of report?.left_out ?? []) marks.set(name, { kind: "dim", says: t.step.notReached });
  const way = report && spot ? wayOf(report, spot) : [];
  const pairs = new Set(way.slice(1).map((each, at) => `${way[at]?.filter} ${each.filter}`));
  for (const wire of doc.wires) if (pairs.has(filtersOf(wire).join(" "))) marks.set(wireKey(wire), { kind: "taken", says: t.step.onTheWay });
  for (const { failures, error } of tests?.tests ?? [])
    for (const filter of new Set([...failures.map((each) => each.filter), error?.where ?? ""])) {
      if (!own(doc.nodes, filter)) continue;
      const text = [...failures.filter((each) => each.filter === filter).map((each) => each.text), ...(error?.where === filter ? [error.message] : [])].join(" ");
      const before = badges.get(filter);
      badges.set(filter, { text: t.step.testFails, kind: "bad", says: before?.kind === "bad" && before.text === t.step.testFails ? `${before.says ?? ""} ${text}` : text });
      marks.set(filter, { kind: "failed" });
    }
  return { badges, marks };
}

/** All filters in the order in which packets come to them. */
function StepList({ report, spot, onChoose }: { readonly report: Report; readonly spot: Spot | undefined; readonly onChoose: (filter: string) => void }) {
  const most = Math.max(...report.steps.map((step) => step.ms), 1e-9);
  const way = new Set(spot ? wayOf(report, spot).map((each) => each.filter) : []);
  const list = useRef<HTMLOListElement>(null);
  const move = (by: number) => {
    const buttons = [...(list.current?.querySelectorAll<HTMLElement>("button") ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLElement);
    const next = buttons[at + by];
    next?.focus();
    next?.click();
  };
  return (
    <ol
      className="bench-list"
      ref={list}
      aria-label={t.step.steps}
      onKeyDown={(event) => {
        if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
        event.preventDefault();
        move(event.key === "ArrowDown" ? 1 : -1);
      }}
    >
      {report.steps.map((step) => {
        const out = Object.values(step.counts.out).reduce((sum, count) => sum + count, 0);
        const failed = report.failures.filter((failure) => failure.filter === step.filter).length;
        return (
          <li key={step.filter} className={way.has(step.filter) ? "on-way" : ""}>
            <button type="button" aria-current={spot?.filter === step.filter ? "step" : undefined} onClick={() => onChoose(step.filter)}>
              <span className="bench-name">{step.filter}</span>
              <span className="bench-counts">
                <span aria-hidden>
                  {step.counts.in} → {out}
                </span>
                <span className="sr-only">{t.step.inAndOut(step.counts.in, out)}</span>
              </span>
              {failed > 0 && <span className="chip bad">{t.step.failedShort(failed)}</span>}
              {step.dropped > 0 && <span className="chip warn">{t.step.droppedShort(step.dropped)}</span>}
              <span className="bench-ms">{duration(step.ms)}</span>
              <span className="bench-track" aria-hidden>
                <span style={{ transform: `scaleX(${(step.ms / most).toFixed(4)})` }} />
              </span>
            </button>
          </li>
        );
      })}
    </ol>
  );
}

export function Step(props: TabProps) {
  const drafted = useDraft(props.name);
  const { state, error, draft } = drafted;
  if (!state) return error === undefined ? <p className="empty">{t.parts.loading}</p> : <Problem error={error} onRetry={draft.reload} />;
  if (Object.keys(state.doc.nodes).length === 0)
    return (
      <Empty title={t.step.nothingToTry}>
        <a className="button primary" href={address(["graphs", props.name, "compose"])}>
          {t.step.begin}
        </a>
      </Empty>
    );
  return <Bench {...props} {...drafted} state={state} />;
}

function Bench({ name, graph, specs, draft, state, refused }: TabProps & Drafted & { readonly state: DraftState }) {
  const { doc } = state;
  const isDraft = state.counter !== null || state.saving.kind !== "saved";
  const editing = useMemo(() => new Editing(draft, specs, { current: null }, () => {}), [draft, specs]);
  const [isFormOpen, setFormOpen] = useState(false);
  const { sample, report, error, isBusy, run } = useTrial(name, doc, refused === undefined);
  const [side, setSide] = useState<"sample" | "tests">("sample");
  const [wanted, setWanted] = useState<Spot>();
  const [pinned, setPinned] = useState<Pinned>();
  const [tests, setTests] = useState<{ readonly report?: TestReport; readonly doc?: GraphDoc; readonly error?: unknown; readonly isBusy?: boolean }>({});

  // on a small screen what is asked for stands above what comes of it
  const result = useRef<HTMLDivElement>(null);
  const isThere = report !== undefined || error !== undefined;
  useEffect(() => {
    if (isThere && innerWidth <= NARROW) result.current?.scrollIntoView({ block: "start" });
  }, [isThere]);

  const spot = useMemo(() => report && ((wanted && sameSpot(report, wanted)) ?? firstSpot(report)), [report, wanted]);
  const here = report && spot ? stepOf(report, spot.filter) : undefined;
  const fate = report && spot ? fateOf(report, spot, familyOf(specOf(specs, here?.component ?? "")) === "publisher") : "none";
  const { badges, marks } = useMemo(() => drawn(doc, side === "tests" ? undefined : report, spot, side === "tests" ? tests.report : undefined), [doc, report, spot, side, tests.report]);
  const selected = useMemo(() => new Set(spot && side === "sample" ? [outermost(spot.filter)] : []), [spot, side]);

  const begin = useCallback(
    (next: Sample) => {
      setSide("sample");
      setWanted(undefined);
      setPinned(undefined);
      run(next);
    },
    [run],
  );
  const choose = useCallback(
    (filter: string) => {
      // what a composite did is what the first filter inside did
      const step = report && (stepOf(report, filter) ?? report.steps.find((each) => outermost(each.filter) === filter));
      if (!report || !step) return;
      const onWay = spot && wayOf(report, spot).find((each) => outermost(each.filter) === filter);
      setWanted(onWay ?? { filter: step.filter, at: step.in.length ? 0 : -1, sent: 0 });
    },
    [report, spot],
  );
  const go = useCallback((direction: "back" | "forward") => {
    if (!report || !spot) return;
    const next = direction === "forward" ? nextSpots(report, spot)[0] : formerSpot(report, spot);
    if (next) setWanted(next);
    else notify({ text: direction === "forward" ? t.step.isLast : t.step.isFirst, staysMs: 2500 });
  }, [report, spot]);
  const packet = useCallback(
    (by: number) => {
      if (spot && here && here.in[spot.at + by] && spot.at >= 0) setWanted({ ...spot, at: spot.at + by, sent: 0 });
    },
    [spot, here],
  );
  const makeTest = useCallback(() => {
    if (!sample) return;
    dryRun(name, doc, sample.post, testNameOf(sample))
      .then(async ({ test, no_test }) => {
        if (!test) return void notify({ text: t.step.noTest(no_test ?? ""), kind: "bad" });
        const { changes, name: made } = gestures.addTest(editing.doc, test as JsonObject);
        draft.do(said("gesture.test", { test: made }), changes);
        await draft.flush();
        notify({ text: t.step.testMade(made), kind: "ok", action: { name: t.step.toTests, run: () => setSide("tests") } });
      })
      .catch(tell);
  }, [name, doc, sample, draft, editing]);
  const test = useCallback(() => {
    setTests({ isBusy: true });
    runTests(name, doc, undefined)
      .then((found) => setTests({ report: found, doc }))
      .catch((problem: unknown) => setTests({ error: problem }));
  }, [name, doc]);

  useCommands(
    useMemo(
      () => [
        { id: "step-forward", name: t.step.forward, keys: "ArrowRight", run: () => go("forward") },
        { id: "step-back", name: t.step.back, keys: "ArrowLeft", run: () => go("back") },
        { id: "step-next", name: t.step.nextPacket, keys: "ArrowDown", run: () => packet(1) },
        { id: "step-former", name: t.step.formerPacket, keys: "ArrowUp", run: () => packet(-1) },
        { id: "step-again", name: t.step.again, refused: refused ?? (sample ? undefined : t.step.noSample), run: () => sample && run(sample) },
        { id: "step-test", name: t.step.makeTest, refused: refused ?? (report ? undefined : t.step.noSample), run: makeTest },
        { id: "step-tests", name: t.step.runTests, refused, run: () => (setSide("tests"), test()) },
      ],
      [go, packet, refused, sample, run, report, makeTest, test],
    ),
  );
  // what is pinned is what the last run made in the same place
  const pinnedStep = report && pinned ? stepOf(report, pinned.spot.filter) : undefined;
  const pinnedNow = pinnedStep && pinned ? formOf(pinnedStep, sentOf(pinnedStep, pinned.spot.at)[pinned.spot.sent]) : undefined;
  const isPinned = pinned !== undefined && spot !== undefined && pinned.spot.filter === spot.filter && pinned.spot.at === spot.at && pinned.spot.sent === spot.sent;
  useEffect(() => {
    if (side === "tests" && doc.tests.length > 0 && !tests.report && !tests.error && !tests.isBusy && refused === undefined) test();
  }, [side]);

  const filter = spot && own(doc.nodes, spot.filter);
  const form = isFormOpen && spot && filter && (
    <aside className="inspector bench-form" aria-label={t.step.paramsOf(spot.filter)}>
      <div className="inspector-inner">
        <FilterForm key={filter.uid ?? spot.filter} name={spot.filter} spec={specOf(specs, filter.component)} faults={state.faults} actions={null} {...{ filter, editing, refused }} />
      </div>
    </aside>
  );

  return (
    <div className="bench">
      <div className="bench-side">
        {refused !== undefined && <p className="note">{refused}</p>}
        <p className="dim">{isDraft ? t.step.onDraft : t.step.onLive}</p>
        <Tabs
          label={t.step.what}
          chosen={side}
          onChoose={(id) => setSide(id === "tests" ? "tests" : "sample")}
          tabs={[
            { id: "sample", name: t.step.sample, content: () => <SampleForm {...{ name, doc, refused }} live={graph} chosen={sample} onRun={begin} /> },
            {
              id: "tests",
              name: t.step.testCount(doc.tests.length),
              content: () => (
                <Tests
                  tests={doc.tests}
                  report={tests.report}
                  error={tests.error}
                  isBusy={tests.isBusy ?? false}
                  isOld={tests.doc !== undefined && tests.doc !== doc}
                  refused={refused}
                  onRun={test}
                  onStep={begin}
                  onRemove={(each) => void draft.do(said("gesture.untest", { test: each }), gestures.removeTest(each))}
                  onFilter={choose}
                />
              ),
            },
          ]}
        />
      </div>
      <div className="bench-main">
        <div className="bench-canvas">
          <Canvas graph={doc} specs={specs} selected={selected} onSelect={(ids) => [...ids].forEach(choose)} badges={badges} marks={marks} label={t.step.canvas(name)} />
        </div>
        {side === "sample" && (
          <div className="bench-result" ref={result}>
            {error !== undefined && <Problem error={error} {...(sample ? { onRetry: () => run(sample) } : {})} />}
            {!report && error === undefined && (isBusy ? <p className="empty">{t.step.running}</p> : <Empty title={t.step.emptyTitle}>{t.step.emptyHelp}</Empty>)}
            {report && spot && (
              <>
                <header className="row bench-summary">
                  <strong role="status">{t.step.result(report.published, report.dropped, report.failed)}</strong>
                  <span className="end row">
                    {isBusy && <span className="dim">{t.step.running}</span>}
                    <Button icon={<RotateCw size={16} aria-hidden />} refused={refused} onClick={() => sample && run(sample)}>
                      {t.step.again}
                    </Button>
                    <Button icon={<FlaskConical size={16} aria-hidden />} refused={refused} onClick={makeTest}>
                      {t.step.makeTest}
                    </Button>
                  </span>
                </header>
                {pinned && <PinnedView pinned={pinned} now={pinnedNow} onGo={() => setWanted(pinned.spot)} onUnpin={() => setPinned(undefined)} />}
                <div className={`bench-columns ${form ? "with-form" : ""}`}>
                  <StepList report={report} spot={spot} onChoose={choose} />
                  <Detail report={report} spot={spot} fate={fate} isPinned={isPinned} onGo={setWanted} onPin={(packet) => setPinned(isPinned ? undefined : { spot, form: packet })} isFormOpen={isFormOpen} onForm={() => setFormOpen(!isFormOpen)} />
                  {form}
                </div>
                {report.left_out.length > 0 && <p className="dim">{t.step.leftOutFilters(report.left_out.join(", "))}</p>}
              </>
            )}
          </div>
        )}
        {side === "tests" && tests.report && tests.report.failed === 0 && (
          <div className="bench-result">
            <p className="empty">
              <BadgeCheck size={20} aria-hidden /> {t.step.testsPassed(tests.report.passed)}
            </p>
          </div>
        )}
      </div>
    </div>
  );
}
