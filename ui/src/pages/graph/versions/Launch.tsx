/** Making a draft or an earlier version what runs: asked for once more, then followed until documents go to it. */

import { Rocket, Undo2 } from "lucide-react";
import { useEffect, useState } from "react";
import { deployDraft } from "../../../api/drafts";
import { type NodeEvent, listen } from "../../../api/events";
import { ApiError, ask, path, query } from "../../../api/http";
import { Button } from "../../../parts/Button";
import { Dialog } from "../../../parts/Dialog";
import { Problem } from "../../../parts/Problem";
import { address } from "../../../router";
import { t } from "../../../texts";

export type Launched = { readonly kind: "deploy"; readonly counter: number } | { readonly kind: "rollback"; readonly version: number };

export interface LaunchProps {
  readonly name: string;
  readonly what: Launched;
  /** The version that runs now, 0 for none. */
  readonly live: number;
  /** How much of what runs is going to be otherwise; undefined: nobody knows. */
  readonly changes: number | undefined;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

interface Line {
  readonly kind: "ok" | "bad" | "off";
  readonly text: string;
}

/** An event as a line of the progress. */
function lineOf({ kind, data }: NodeEvent): Line | null {
  const [state, version, seconds, instance] = [String(data["state"]), Number(data["version"]), Number(data["seconds"] ?? 0), Number(data["instance"])];
  if (kind === "instance") return state === "ready" ? { kind: "ok", text: t.versions.instanceReady(instance, seconds) } : { kind: "off", text: t.versions.instanceEnded(instance) };
  if (state === "began") return { kind: "off", text: t.versions.began(version) };
  if (state === "switched") return { kind: "ok", text: t.versions.switched(version, seconds) };
  if (state === "failed") return { kind: "bad", text: t.versions.failed(version, String(data["reason"] ?? "")) };
  return null;
}

async function launch(name: string, what: Launched, live: number, note: string): Promise<number> {
  if (what.kind === "deploy") return (await deployDraft(name, what.counter, note)).version;
  const headers = { "if-match": `"${live}"` };
  const { body } = await ask<{ readonly version: number }>("POST", `${path("graphs", name)}/rollback${query({ note })}`, { body: { version: what.version }, headers: live ? headers : {} });
  return body.version;
}

/** The filter that is the reason, if it is one: `graph.filter`. */
function filterOf(name: string, error: unknown): string | undefined {
  const where = error instanceof ApiError ? (error.body as { readonly where?: unknown } | undefined)?.where : undefined;
  return typeof where === "string" && where.startsWith(`${name}.`) ? where.slice(name.length + 1) : undefined;
}

export function Launch({ name, what, live, changes, onClose, onDone }: LaunchProps) {
  const [note, setNote] = useState("");
  const [state, setState] = useState<"asks" | "runs" | "done" | "failed">("asks");
  const [version, setVersion] = useState(0);
  const [error, setError] = useState<unknown>(undefined);
  const [lines, setLines] = useState<readonly Line[]>([]);
  useEffect(() => {
    if (state === "asks") return undefined;
    return listen(
      ["deployment", "instance"],
      (event) => {
        const line = lineOf(event);
        if (line) setLines((before) => [...before, line]);
      },
      name,
    );
  }, [state === "asks", name]);

  const isRollback = what.kind === "rollback";
  const verb = isRollback ? t.versions.rollback : t.versions.deploy;
  const run = () => {
    setState("runs");
    setError(undefined);
    setLines([]);
    launch(name, what, live, note)
      .then((made) => {
        setVersion(made);
        setState("done");
        onDone();
      })
      .catch((problem: unknown) => {
        setError(problem);
        setState("failed");
      });
  };
  const icon = isRollback ? <Undo2 size={16} aria-hidden /> : <Rocket size={16} aria-hidden />;
  return (
    <Dialog
      title={isRollback ? t.versions.rollbackTitle(what.version) : t.versions.deployTitle(name)}
      onClose={onClose}
      className="launch"
      actions={
        state === "done" ? (
          <>
            <a className="button" href={address(["graphs", name])}>
              {t.versions.toWatch}
            </a>
            <Button kind="primary" onClick={onClose}>
              {t.parts.close}
            </Button>
          </>
        ) : (
          <>
            <Button onClick={onClose}>{t.parts.cancel}</Button>
            <Button kind="primary" icon={icon} refused={state === "runs" ? t.versions.running : undefined} onClick={run}>
              {state === "runs" ? t.versions.running : state === "failed" ? t.parts.retry : verb}
            </Button>
          </>
        )
      }
    >
      {state === "asks" && (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            run();
          }}
        >
          <p>{isRollback ? t.versions.rollbackHelp(what.version) : live ? t.versions.deployHelp(live) : t.versions.deployFirst}</p>
          {changes !== undefined && live > 0 && <p>{t.versions.changeCount(changes)}</p>}
          {changes === undefined && live > 0 && !isRollback && (
            <a href={address(["graphs", name, "versions"], { from: "live", to: "draft" })}>{t.versions.seeDifference}</a>
          )}
          <div className="field">
            <label htmlFor="launch-note">{t.versions.note}</label>
            <input id="launch-note" type="text" value={note} maxLength={500} onChange={(event) => setNote(event.target.value)} />
          </div>
        </form>
      )}
      {state !== "asks" && (
        <ol className="progress" aria-live="polite" aria-label={t.versions.progress}>
          {lines.map((line, at) => (
            <li key={at} className={`state ${line.kind}`}>
              {line.text}
            </li>
          ))}
          {state === "runs" && lines.length === 0 && <li className="state off">{t.versions.asked}</li>}
          {state === "done" && <li className="state ok final">{t.versions.isLive(version)}</li>}
        </ol>
      )}
      {state === "failed" && (
        <>
          <Problem error={error} />
          {live > 0 && <p>{t.versions.stays(live)}</p>}
          {!isRollback && <a href={address(["graphs", name, "compose"], { filter: filterOf(name, error) })}>{t.versions.toCompose}</a>}
        </>
      )}
    </Dialog>
  );
}
