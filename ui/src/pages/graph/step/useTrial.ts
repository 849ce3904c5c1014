/** The last run of a sample, and the next one: asked for, or because the graph is another one now. */

import { useCallback, useEffect, useRef, useState } from "react";
import type { GraphDoc } from "../../../model/graph";
import type { Report } from "./report";
import type { Sample } from "./samples";
import { dryRun } from "./trials";

/** Rest after a change before the sample runs once more, in milliseconds. */
const REST_MS = 400;

export interface Trial {
  readonly sample: Sample | undefined;
  readonly report: Report | undefined;
  readonly error: unknown;
  readonly isBusy: boolean;
  readonly run: (sample: Sample) => void;
}

export function useTrial(name: string, doc: GraphDoc | undefined, mayRun: boolean): Trial {
  const [sample, setSample] = useState<Sample>();
  const [state, setState] = useState<{ readonly report?: Report; readonly error?: unknown }>({});
  const [isBusy, setBusy] = useState(false);
  const stop = useRef<AbortController>(null);
  const ran = useRef<GraphDoc>(undefined);

  const start = useCallback(
    (next: Sample, graph: GraphDoc) => {
      stop.current?.abort();
      const control = new AbortController();
      stop.current = control;
      ran.current = graph;
      setBusy(true);
      dryRun(name, graph, next.post, undefined, control.signal)
        .then((report) => setState({ report }))
        // the last report stays: what is wrong now stands beside it
        .catch((error: unknown) => control.signal.aborted || setState((before) => ({ ...before, error })))
        .finally(() => stop.current === control && setBusy(false));
    },
    [name],
  );
  const run = useCallback(
    (next: Sample) => {
      if (!doc || !mayRun) return;
      setSample(next);
      setState({});
      start(next, doc);
    },
    [doc, mayRun, start],
  );
  useEffect(() => {
    if (!doc || !sample || ran.current === doc) return undefined;
    const timer = setTimeout(() => start(sample, doc), REST_MS);
    return () => clearTimeout(timer);
  }, [doc, sample, start]);
  useEffect(() => () => stop.current?.abort(), []);
  return { sample, report: state.report, error: state.error, isBusy, run };
}
