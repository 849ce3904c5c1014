/** Dry runs and tests, on the draft as it stands, or on what is live. */

import { ask, path } from "../../../api/http";
import { type GraphDoc, toFile } from "../../../model/graph";
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
