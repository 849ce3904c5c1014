/** A new graph: empty, like one that is there, or of a file. It is a draft until it is deployed. */

import { Upload } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { ask, get, path } from "../../api/http";
import { emptyGraph, isName, readGraph, toFile } from "../../model/graph";
import { isObject } from "../../model/json";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { Problem } from "../../parts/Problem";
import { address, go } from "../../router";
import { t } from "../../texts";

interface Remark {
  readonly path: string;
  readonly message: string;
}

interface Converted {
  readonly format: string;
  readonly graph: unknown;
  readonly report: readonly Remark[];
  readonly errors: readonly Remark[];
}

/** Keep a graph as a draft that nobody else has begun, and go on with it. */
async function begin(name: string, graph: unknown): Promise<void> {
  const { doc } = readGraph(graph);
  await ask("PUT", path("graphs", name, "draft"), { body: { graph: toFile({ ...doc, name }), base: 0 }, headers: { "if-none-match": "*" } });
  go(address(["graphs", name, "compose"]));
}

interface NameProps {
  readonly name: string;
  readonly onChange: (name: string) => void;
  readonly taken: ReadonlySet<string>;
}

const whyNot = (name: string, taken: ReadonlySet<string>): string | undefined =>
  name === "" ? t.graphs.nameNeeded : !isName(name) ? t.graphs.nameForm : taken.has(name) ? t.graphs.nameTaken(name) : undefined;

function NameField({ name, onChange, taken }: NameProps) {
  const id = useId();
  const wrong = name === "" ? undefined : whyNot(name, taken);
  return (
    <div className="field">
      <label htmlFor={id}>{t.graphs.name}</label>
      <input
        id={id}
        type="text"
        value={name}
        maxLength={64}
        autoComplete="off"
        spellCheck={false}
        aria-invalid={wrong !== undefined || undefined}
        aria-describedby={`${id}-help`}
        onChange={(event) => onChange(event.target.value)}
      />
      <span id={`${id}-help`} className={wrong ? "wrong" : "help"}>
        {wrong ?? t.graphs.nameHelp}
      </span>
    </div>
  );
}

export interface BeginProps {
  /** Names of graphs that are there. */
  readonly graphs: readonly string[];
  readonly taken: ReadonlySet<string>;
  readonly onClose: () => void;
}

export function NewGraph({ graphs, taken, onClose }: BeginProps) {
  const [name, setName] = useState("");
  const [from, setFrom] = useState("");
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const id = useId();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isBusy || whyNot(name, taken)) return;
    setBusy(true);
    try {
      const graph = from ? { ...((await get<{ graph: object }>(path("graphs", from))).graph as object), routes: [name] } : { ...emptyGraph(name), routes: [name] };
      await begin(name, graph);
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={t.graphs.new}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t.parts.cancel}</Button>
          <Button kind="primary" type="submit" form={id} refused={whyNot(name, taken)}>
            {t.graphs.begin}
          </Button>
        </>
      }
    >
      <form id={id} className="stack" onSubmit={(event) => void submit(event)}>
        <NameField {...{ name, taken }} onChange={setName} />
        <div className="field">
          <label htmlFor={`${id}-from`}>{t.graphs.beginWith}</label>
          <select id={`${id}-from`} value={from} onChange={(event) => setFrom(event.target.value)}>
            <option value="">{t.graphs.nothing}</option>
            {graphs.map((each) => (
              <option key={each} value={each}>
                {t.graphs.copyOf(each)}
              </option>
            ))}
          </select>
          <span className="help">{t.graphs.draftFirst}</span>
        </div>
        {error !== undefined && <Problem error={error} />}
      </form>
    </Dialog>
  );
}

/** A name that a graph of a file may have. */
function nameIn(value: unknown, file: string): string {
  const own = isObject(value) && typeof value["name"] === "string" ? value["name"] : "";
  return (own || file.replace(/\.[^.]*$/, "")).replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 64);
}

export function ImportGraph({ taken, onClose }: BeginProps) {
  const [name, setName] = useState("");
  const [read, setRead] = useState<{ readonly file: string; readonly text: string }>();
  const [found, setFound] = useState<Converted>();
  const [error, setError] = useState<unknown>();
  const id = useId();

  const convert = async (file: File) => {
    setFound(undefined);
    setError(undefined);
    const text = await file.text();
    try {
      const wanted = nameIn(JSON.parse(text), file.name) || "graph";
      setRead({ file: file.name, text });
      setName((before) => before || wanted);
      setFound((await ask<Converted>("POST", path("graphs", wanted, "convert"), { body: text })).body);
    } catch (problem) {
      setError(problem instanceof SyntaxError ? new Error(t.graphs.noJson(file.name, problem.message)) : problem);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (found && !whyNot(name, taken)) begin(name, found.graph).catch(setError);
  };
  return (
    <Dialog
      title={t.graphs.import}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t.parts.cancel}</Button>
          <Button kind="primary" type="submit" form={id} refused={found ? whyNot(name, taken) : t.graphs.fileNeeded}>
            {t.graphs.begin}
          </Button>
        </>
      }
    >
      <form id={id} className="stack" onSubmit={submit}>
        <div className="field">
          <label htmlFor={`${id}-file`}>{t.graphs.file}</label>
          <input
            id={`${id}-file`}
            type="file"
            accept=".json,application/json"
            onChange={(event) => {
              const [file] = event.target.files ?? [];
              if (file) void convert(file);
            }}
          />
          <span className="help">{t.graphs.fileHelp}</span>
        </div>
        {found && <NameField {...{ name, taken }} onChange={setName} />}
        {error !== undefined && <Problem error={error} />}
        {found && read && (
          <>
            <p>
              <Upload size={16} aria-hidden /> {found.format === "pypes1" ? t.graphs.readProject(read.file) : t.graphs.readFile(read.file)}
            </p>
            <Remarks title={t.graphs.noCounterpart} remarks={found.report} />
            <Remarks title={t.graphs.toMend} remarks={found.errors} />
          </>
        )}
      </form>
    </Dialog>
  );
}

function Remarks({ title, remarks }: { readonly title: string; readonly remarks: readonly Remark[] }) {
  if (remarks.length === 0) return null;
  return (
    <div className="warning remarks" tabIndex={0} role="region" aria-label={title}>
      <b>{title}</b>
      <ul>
        {remarks.map((remark, at) => (
          <li key={at}>
            {remark.path && <code>{remark.path}</code>} {remark.message}
          </li>
        ))}
      </ul>
    </div>
  );
}

