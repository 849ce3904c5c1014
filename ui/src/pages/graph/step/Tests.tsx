/** The tests of a graph: run, and what failed in words; each can be stepped through. */

import { FlaskConical, Footprints, Trash2 } from "lucide-react";
import { testName } from "../../../model/graph";
import type { JsonObject } from "../../../model/json";
import { Button } from "../../../parts/Button";
import { Problem } from "../../../parts/Problem";
import { duration } from "../../../parts/times";
import { t } from "../../../texts";
import { type Sample, recorded } from "./samples";
import type { TestReport, TestResult } from "./trials";

export interface TestsProps {
  readonly tests: readonly JsonObject[];
  readonly report: TestReport | undefined;
  readonly error: unknown;
  readonly isBusy: boolean;
  /** The graph is another one since they ran. */
  readonly isOld: boolean;
  readonly refused: string | undefined;
  readonly onRun: () => void;
  readonly onStep: (sample: Sample) => void;
  readonly onRemove: (test: string) => void;
  readonly onFilter: (filter: string) => void;
}

function Result({ result, onFilter }: { readonly result: TestResult; readonly onFilter: (filter: string) => void }) {
  return (
    <>
      {result.error && <p className="wrong">{result.error.message}</p>}
      {result.failures.length > 0 && (
        <ul className="failures">
          {result.failures.map(({ filter, text }, at) => (
            <li key={at}>
              {filter && (
                <button type="button" className="link" onClick={() => onFilter(filter)}>
                  {filter}
                </button>
              )}{" "}
              {text}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

export function Tests({ tests, report, error, isBusy, isOld, refused, onRun, onStep, onRemove, onFilter }: TestsProps) {
  if (tests.length === 0)
    return (
      <div className="stack">
        <h2>{t.step.tests}</h2>
        <p>{t.step.noTestsYet}</p>
      </div>
    );
  return (
    <div className="stack">
      <div className="row spread">
        <h2>{t.step.tests}</h2>
        <Button kind="primary" icon={<FlaskConical size={16} aria-hidden />} refused={refused ?? (isBusy ? t.step.running : undefined)} onClick={onRun}>
          {isBusy ? t.step.running : t.step.runTests}
        </Button>
      </div>
      {error !== undefined && <Problem error={error} onRetry={onRun} />}
      <p role="status" className={report ? `state ${report.failed ? "bad" : "ok"}` : "sr-only"}>
        {report && (report.failed ? t.step.testsFailed(report.failed, report.passed + report.failed) : t.step.testsPassed(report.passed))}
      </p>
      {report && isOld && <p className="dim">{t.step.testsOld}</p>}
      <ul className="tests" aria-label={t.step.tests}>
        {tests.map((test) => {
          const name = testName(test);
          const result = report?.tests.find((each) => each.name === name);
          const sample = recorded([test])[0];
          return (
            <li key={name} className="card">
              <div className="row spread">
                <strong>{name}</strong>
                {result && (
                  <span className={`state ${result.passed ? "ok" : "bad"}`}>
                    {result.passed ? t.step.passed : t.step.notPassed} <span className="dim">{duration(result.seconds * 1000)}</span>
                  </span>
                )}
              </div>
              {result && <Result result={result} onFilter={onFilter} />}
              <div className="row">
                {sample && (
                  <Button kind="plain" icon={<Footprints size={16} aria-hidden />} refused={refused} onClick={() => onStep(sample)}>
                    <span>
                      {t.step.stepThrough}
                      <span className="sr-only"> {name}</span>
                    </span>
                  </Button>
                )}
                <Button kind="plain" icon={<Trash2 size={16} aria-hidden />} name={t.step.removeTest(name)} refused={refused} onClick={() => onRemove(name)} />
              </div>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
