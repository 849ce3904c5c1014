/** Posting a document to the graph that runs: a text, or a file that is chosen or dropped. */

import { Send } from "lucide-react";
import { type FormEvent, useId, useRef, useState } from "react";
import { ask, path } from "../../../api/http";
import { curlOf, headsOf, typeOfText } from "../../../model/posting";
import { Button } from "../../../parts/Button";
import { Dialog } from "../../../parts/Dialog";
import { Problem } from "../../../parts/Problem";
import { address } from "../../../router";
import { useSession } from "../../../session";
import { t } from "../../../texts";
import { TYPES } from "../step/samples";

/** Of a longer text the line for a shell would be of no use. */
const LONGEST = 2000;

interface Accepted {
  readonly receipt: string;
  readonly accepted: number;
}

export interface PostProps {
  readonly name: string;
  /** The route that leads to the graph; empty: it is the default graph. */
  readonly route: string;
  readonly onClose: () => void;
}

export function Post({ name, route, onClose }: PostProps) {
  const [text, setText] = useState("");
  const [file, setFile] = useState<File>();
  const [chosenType, setType] = useState<string>();
  const [id, setId] = useState("");
  const [accepted, setAccepted] = useState<Accepted>();
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const form = useId();
  const { csrf } = useSession();
  const type = chosenType ?? (file ? file.type || "application/octet-stream" : typeOfText(text));
  const where = route ? path("docs", route) : "docs";
  const refused = isBusy ? t.watch.posting : file || text ? undefined : t.watch.nothingToPost;
  const said = { id: id.trim(), body: file ? { file: file.name } : { text } };

  const take = (next: File | undefined) => {
    setFile(next);
    setType(undefined);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (refused !== undefined) return;
    setBusy(true);
    setError(undefined);
    setAccepted(undefined);
    ask<Accepted>("POST", where, { body: file ?? text, type, headers: headsOf(said) })
      .then(({ body }) => setAccepted(body))
      .catch(setError)
      .finally(() => setBusy(false));
  };
  return (
    <Dialog
      title={t.watch.postTo(name)}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{accepted ? t.parts.close : t.parts.cancel}</Button>
          <Button kind="primary" type="submit" form={form} icon={<Send size={16} aria-hidden />} refused={refused}>
            {t.watch.post}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="stack"
        onSubmit={submit}
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          const [dropped] = event.dataTransfer.files;
          if (!dropped) return;
          event.preventDefault();
          take(dropped);
        }}
      >
        {file ? (
          <p className="row">
            <b>{file.name}</b>
            <Button onClick={() => take(undefined)}>{t.watch.postText}</Button>
          </p>
        ) : (
          <div className="field">
            <label htmlFor={`${form}-text`}>{t.watch.document}</label>
            <textarea
              id={`${form}-text`}
              className="mono"
              rows={6}
              spellCheck={false}
              value={text}
              placeholder='{"title": "Ada", "text": "…"}'
              onChange={(event) => setText(event.target.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
              }}
            />
            <span className="help">{t.watch.documentHelp}</span>
          </div>
        )}
        <div>
          <Button onClick={() => picker.current?.click()}>{t.watch.chooseFile}</Button>
          <input
            ref={picker}
            type="file"
            hidden
            aria-label={t.watch.chooseFile}
            onChange={(event) => {
              const [chosen] = event.target.files ?? [];
              event.target.value = "";
              if (chosen) take(chosen);
            }}
          />
        </div>
        <div className="field">
          <label htmlFor={`${form}-type`}>{t.step.type}</label>
          <input id={`${form}-type`} type="text" list={`${form}-types`} value={type} spellCheck={false} onChange={(event) => setType(event.target.value || undefined)} />
          <datalist id={`${form}-types`}>
            {TYPES.map((each) => (
              <option key={each} value={each} />
            ))}
          </datalist>
        </div>
        <div className="field">
          <label htmlFor={`${form}-id`}>{t.watch.documentId}</label>
          <input id={`${form}-id`} type="text" value={id} autoComplete="off" spellCheck={false} aria-describedby={`${form}-id-help`} onChange={(event) => setId(event.target.value)} />
          <span id={`${form}-id-help`} className="help">
            {t.watch.documentIdHelp}
          </span>
        </div>
        {refused !== t.watch.nothingToPost && text.length <= LONGEST && (
          <details>
            <summary>{t.watch.sameByCurl}</summary>
            <pre className="curl" tabIndex={0} aria-label={t.watch.sameByCurl}>
              {curlOf({ ...said, url: new URL(where, document.baseURI).href, type, needsToken: csrf !== null })}
            </pre>
          </details>
        )}
      </form>
      {error !== undefined && <Problem error={error} />}
      {accepted && (
        <p role="status" className="row">
          <span className="state ok">{t.watch.accepts(accepted.accepted)}</span> <a href={address(["follow"], { q: accepted.receipt })}>{t.watch.followIt}</a>
        </p>
      )}
    </Dialog>
  );
}
