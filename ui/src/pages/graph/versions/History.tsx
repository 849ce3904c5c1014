/** All that could run, and what ran before: the draft, the file in the folder of graphs, and the versions, the newest first. */

import { Download, FileDown, Ghost, Rocket, Undo2 } from "lucide-react";
import type { ReactNode } from "react";
import type { DraftAnswer } from "../../../api/drafts";
import { path, query } from "../../../api/http";
import { Button } from "../../../parts/Button";
import { Problem } from "../../../parts/Problem";
import { ago, moment } from "../../../parts/times";
import { t } from "../../../texts";
import type { Loaded } from "../answers";
import type { FolderFile } from "../state";
import type { Side, Version } from "./sides";

export interface HistoryProps {
  readonly name: string;
  readonly draft: Loaded<DraftAnswer>;
  readonly history: Loaded<readonly Version[]>;
  readonly file: FolderFile | undefined;
  readonly from: Side;
  readonly to: Side;
  readonly live: number;
  readonly refused: string | undefined;
  /** There are older ones than those shown. */
  readonly onOlder: (() => void) | undefined;
  readonly onCompare: (from: Side, to: Side) => void;
  readonly onDeploy: () => void;
  readonly onRollback: (version: number) => void;
  readonly onTake: () => void;
  /** Undefined: nothing is live that the draft could run beside. */
  readonly onShadow: (() => void) | undefined;
}

const STATES = { live: "ok", retired: "off", failed: "bad" } as const;

/** An entry that can be chosen to be looked at. */
function Entry({ title, state, isChosen, onChoose, name, children }: { readonly title: string; readonly state?: ReactNode; readonly isChosen: boolean; readonly onChoose: () => void; readonly name: string; readonly children: ReactNode }) {
  return (
    <li className={`card version ${isChosen ? "chosen" : ""}`}>
      <div className="row spread">
        <button type="button" className="link" aria-pressed={isChosen} aria-label={name} onClick={onChoose}>
          {title}
        </button>
        {state}
      </div>
      {children}
    </li>
  );
}

function FileLink({ name, of, label }: { readonly name: string; readonly of: { readonly version?: number; readonly of?: string }; readonly label: string }) {
  return (
    <a className="button plain icon" href={`${path("graphs", name)}/file${query(of)}`} download={`${name}.json`} aria-label={label} title={label}>
      <Download size={16} aria-hidden />
    </a>
  );
}

function When({ time, by }: { readonly time: string; readonly by: string }) {
  return (
    <p className="dim">
      <time dateTime={time} title={moment(time)}>
        {ago(time)}
      </time>
      {by && <span>, {by}</span>}
    </p>
  );
}

export function History({ name, draft, history, file, from, to, live, refused, onOlder, onCompare, onDeploy, onRollback, onTake, onShadow }: HistoryProps) {
  const versions = history.value ?? [];
  /** What a version changed: from the one before. */
  const before = (version: number): Side => {
    const earlier = versions.find((each) => each.version < version && each.state !== "failed");
    return earlier ? String(earlier.version) : String(version);
  };
  return (
    <section className="history" aria-label={t.versions.history}>
      <ul>
        {draft.value && (
          <Entry title={t.versions.draft} name={t.versions.compareDraft} isChosen={to === "draft"} onChoose={() => onCompare("live", "draft")}>
            <When time={draft.value.time} by={draft.value.by} />
            {draft.value.errors.length > 0 && <p className="state bad">{t.versions.problems(draft.value.errors.length)}</p>}
            {draft.value.base !== draft.value.live && <p className="state warn">{t.versions.outdated(draft.value.live)}</p>}
            <div className="row">
              <Button kind="primary" icon={<Rocket size={16} aria-hidden />} refused={refused ?? whyNot(draft.value)} onClick={onDeploy}>
                {t.versions.deploy}
              </Button>
              {onShadow && (
                <Button icon={<Ghost size={16} aria-hidden />} refused={draft.value.errors.length ? t.versions.mendFirst(draft.value.errors.length) : undefined} onClick={onShadow}>
                  {t.versions.tryIt}
                </Button>
              )}
              <FileLink name={name} of={{ of: "draft" }} label={t.versions.downloadDraft} />
            </div>
          </Entry>
        )}
        {file && (
          <Entry title={t.versions.file} name={t.versions.compareFile} isChosen={to === "file"} onChoose={() => onCompare("live", "file")}>
            <p className="dim mono">{file.path}</p>
            {file.problem ? <p className="state bad">{file.problem}</p> : <p className={`state ${file.differs ? "warn" : "ok"}`}>{fileState(file)}</p>}
            {file.differs && (
              <div className="row">
                <Button icon={<FileDown size={16} aria-hidden />} refused={refused} onClick={onTake}>
                  {t.versions.take}
                </Button>
              </div>
            )}
          </Entry>
        )}
      </ul>
      <h2>{t.versions.history}</h2>
      {history.error !== undefined && <Problem error={history.error} onRetry={history.again} />}
      {history.value === null && <p className="dim">{t.versions.noHistory}</p>}
      <ol>
        {versions.map((each) => (
          <Entry
            key={each.version}
            title={t.versions.version(each.version)}
            state={<span className={`state ${STATES[each.state]}`}>{t.versions.states[each.state]}</span>}
            name={t.versions.compareVersion(each.version)}
            isChosen={to === String(each.version) || (to === "live" && each.version === live && from !== "live")}
            onChoose={() => onCompare(before(each.version), String(each.version))}
          >
            <When time={each.time} by={each.by} />
            {each.note && <p className="note">{each.note}</p>}
            {each.error && <p className="wrong">{each.error}</p>}
            {each.other_code && each.other_code.length > 0 && (
              <details>
                <summary>{t.versions.otherCode}</summary>
                <ul className="dim">
                  {each.other_code.map((line) => (
                    <li key={line}>{line}</li>
                  ))}
                </ul>
              </details>
            )}
            <div className="row">
              {each.version !== live && (
                <Button icon={<Undo2 size={16} aria-hidden />} refused={refused} onClick={() => onRollback(each.version)}>
                  <span>
                    {t.versions.rollback}
                    <span className="sr-only"> {t.versions.version(each.version)}</span>
                  </span>
                </Button>
              )}
              <FileLink name={name} of={{ version: each.version }} label={t.versions.downloadVersion(each.version)} />
            </div>
          </Entry>
        ))}
      </ol>
      {onOlder && <Button onClick={onOlder}>{t.versions.older}</Button>}
    </section>
  );
}

function fileState(file: FolderFile): string {
  if (!file.differs) return t.versions.fileSame;
  return file.changed === "file" ? t.versions.fileChanged : file.changed === "node" ? t.versions.nodeChanged : t.versions.fileDiffers;
}

/** Why a draft cannot be deployed as it is. */
export function whyNot(draft: DraftAnswer): string | undefined {
  if (draft.errors.length > 0) return t.versions.mendFirst(draft.errors.length);
  if (draft.base !== draft.live) return t.versions.mergeFirst;
  return undefined;
}
