/** Dry runs and tests, on the draft as it stands, or on what is live. */

import { readDraft, readLive, saveDraft } from "../../../api/drafts";
import { ApiError, ask, path } from "../../../api/http";
import { apply } from "../../../model/change";
import * as gestures from "../../../model/gestures";
import { emptyGraph, type GraphDoc, readGraph, toFile } from "../../../model/graph";
import type { Change } from "../../../model/change";
import type { JsonObject } from "../../../model/json";
import type { Form, Report } from "./report";

export async function dryRun(name: string, doc: GraphDoc, post: JsonObject, record: string | undefined, signal?: AbortSignal): Promise<Report> {
  const body = { ...post, graph: toFile(doc), ...(record === undefined ? {} : { record }) };
  return (await ask<Report>("POST", `${path("graphs", name)}/dryrun`, { body, ...(signal ? { signal } : {}) })).body;
}

export interface TestFailure {
  /** Empty: it is about no filter. */
  readonly filter: string;
  readonly text: string;
  readonly what: string;
  readonly expected: unknown;
  readonly found: unknown;
  readonly received?: readonly Form[];
}

export interface TestResult {
  readonly name: string;
  readonly index: number;
  readonly passed: boolean;
  readonly seconds: number;
  readonly failures: readonly TestFailure[];
  readonly error: { readonly code: string; readonly message: string; readonly where: string } | null;
}

export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
  readonly tests: readonly TestResult[];
}

export async function runTests(name: string, doc: GraphDoc, tests: readonly string[] | undefined, signal?: AbortSignal): Promise<TestReport> {
  const body = { graph: toFile(doc), ...(tests ? { tests } : {}) };
  return (await ask<TestReport>("POST", `${path("graphs", name)}/test`, { body, ...(signal ? { signal } : {}) })).body;
}

/** Somebody saves at the same moment: once more, on what they saved. */
const TRIES = 4;

/** Change the draft, or begin one with what is live. */
async function change(name: string, make: (doc: GraphDoc) => readonly Change[]): Promise<void> {
  for (let tries = 1; ; tries++) {
    const draft = await readDraft(name);
    const live = draft ? null : await readLive(name);
    const graph = draft?.graph ?? live?.graph;
    const doc = graph === undefined ? emptyGraph(name) : readGraph(graph).doc;
    try {
      await saveDraft(name, toFile(apply(doc, make(doc)).doc), draft?.base ?? live?.version ?? 0, draft?.counter ?? null);
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 412 || tries >= TRIES) throw error;
    }
  }
}

/** Add a test; gives its name in the draft. */
export async function addTest(name: string, test: JsonObject): Promise<string> {
  let made = "";
  await change(name, (doc) => {
    const { changes, name: free } = gestures.addTest(doc, test);
    made = free;
    return changes;
  });
  return made;
}

export const removeTest = (name: string, test: string): Promise<void> => change(name, () => gestures.removeTest(test));
