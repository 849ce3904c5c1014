/** Choosing a sample: pasted, a file, one that a test has, one from a wire, or a dead letter. */

import { Play, Upload } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { query } from "../../../api/http";
import { type GraphDoc, wireKey } from "../../../model/graph";
import { Button } from "../../../parts/Button";
import { notify } from "../../../parts/Notices";
import { Problem, messageOf } from "../../../parts/Problem";
import { Tabs } from "../../../parts/Tabs";
import { ago } from "../../../parts/times";
import { useFetched } from "../../../parts/useFetched";
import { t } from "../../../texts";
import { inOrder } from "../canvas/flow";
import { type Letter, MOST_BYTES, type Sample, TYPES, deadLettered, pasted, recorded, tapped, uploaded } from "./samples";

export interface SampleFormProps {
  readonly name: string;
  readonly doc: GraphDoc;
  /** Whether wires can be tapped. */
  readonly live: GraphDoc | undefined;
  readonly refused: string | undefined;
  readonly chosen: Sample | undefined;
  readonly onRun: (sample: Sample) => void;
}

const keptAt = (name: string): string => `pypes.sample.${name}`;

/** What was typed last, as long as this tab is open. */
function kept(name: string): { readonly text: string; readonly type: string; readonly at: string } {
  try {
    const { text, type, at } = JSON.parse(sessionStorage.getItem(keptAt(name)) ?? "{}") as Record<string, unknown>;
    return { text: typeof text === "string" ? text : "", type: typeof type === "string" ? type : TYPES[0]!, at: typeof at === "string" ? at : "" };
  } catch {
    return { text: "", type: TYPES[0]!, at: "" };
  }
}

function Paste({ name, doc, refused, onRun }: SampleFormProps) {
  const [{ text, type, at }, setTyped] = useState(() => kept(name));
  const id = useId();
  const file = useRef<HTMLInputElement>(null);
  const filters = inOrder(doc);
  useEffect(() => {
    try {
      sessionStorage.setItem(keptAt(name), JSON.stringify({ text, type, at }));
    } catch {
      // too long to be kept
    }
  }, [name, text, type, at]);
  const start = filters.includes(at) ? at : "";
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (refused === undefined) onRun(pasted(text, type, start));
      }}
    >
      <div className="field">
        <label htmlFor={`${id}-text`}>{t.step.text}</label>
        <textarea
          id={`${id}-text`}
          className="mono"
          rows={8}
          spellCheck={false}
          value={text}
          placeholder='{"title": "Ada", "text": "…"}'
          onChange={(event) => setTyped({ text: event.target.value, type, at })}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && refused === undefined) {
              event.preventDefault();
              onRun(pasted(text, type, start));
            }
          }}
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}-type`}>{t.step.type}</label>
        <input id={`${id}-type`} type="text" list={`${id}-types`} value={type} spellCheck={false} onChange={(event) => setTyped({ text, type: event.target.value, at })} />
        <datalist id={`${id}-types`}>
          {TYPES.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      </div>
      <div className="field">
        <label htmlFor={`${id}-at`}>{t.step.at}</label>
        <select id={`${id}-at`} value={start} onChange={(event) => setTyped({ text, type, at: event.target.value })}>
          <option value="">{t.step.atAdapters}</option>
          {filters.map((filter) => (
            <option key={filter} value={filter}>
              {filter}
            </option>
          ))}
        </select>
      </div>
      <div className="row">
        <Button kind="primary" type="submit" icon={<Play size={16} aria-hidden />} refused={refused ?? (text ? undefined : t.step.nothingPasted)}>
          {t.step.run}
        </Button>
        <Button icon={<Upload size={16} aria-hidden />} refused={refused} onClick={() => file.current?.click()}>
          {t.step.upload}
        </Button>
        <input
          ref={file}
          type="file"
          hidden
          aria-label={t.step.upload}
          onChange={(event) => {
            const chosen = event.target.files?.[0];
            event.target.value = "";
            if (!chosen) return;
            if (chosen.size > MOST_BYTES) return void notify({ text: t.step.tooLarge, kind: "bad" });
            void uploaded(chosen, start)
              .then(onRun)
              .catch((error: unknown) => notify({ text: messageOf(error), kind: "bad" }));
          }}
        />
      </div>
    </form>
  );
}

/** A list of samples, each run by one click. */
function Choices({ samples, label, chosen, refused, onRun }: { readonly samples: readonly Sample[]; readonly label: string } & Pick<SampleFormProps, "chosen" | "refused" | "onRun">) {
  return (
    <ul className="choices" aria-label={label}>
      {samples.map((sample, at) => (
        <li key={at}>
          <Button kind="plain" aria-pressed={sample === chosen || (sample.label === chosen?.label && sample.post === chosen.post)} refused={refused} onClick={() => onRun(sample)}>
            {sample.label}
          </Button>
        </li>
      ))}
    </ul>
  );
}

function Tap({ name, live, chosen, refused, onRun }: SampleFormProps) {
  const [wire, setWire] = useState("");
  const [state, setState] = useState<{ readonly samples?: readonly Sample[]; readonly error?: unknown; readonly isBusy?: boolean }>({});
  const stop = useRef<AbortController>(null);
  const id = useId();
  useEffect(() => () => stop.current?.abort(), []);
  if (!live || live.wires.length === 0) return <p className="dim">{t.step.noWires}</p>;
  const taken = live.wires.find((each) => wireKey(each) === wire) ?? live.wires[0]!;
  const take = () => {
    stop.current?.abort();
    const control = new AbortController();
    stop.current = control;
    setState({ isBusy: true });
    tapped(name, taken, control.signal)
      .then((samples) => setState({ samples }))
      .catch((error: unknown) => control.signal.aborted || setState({ error }));
  };
  return (
    <div className="stack">
      <div className="field">
        <label htmlFor={id}>{t.step.wire}</label>
        <select id={id} value={wireKey(taken)} onChange={(event) => setWire(event.target.value)}>
          {live.wires.map((each) => (
            <option key={wireKey(each)} value={wireKey(each)}>
              {each[0]} → {each[1]}
            </option>
          ))}
        </select>
      </div>
      <Button refused={state.isBusy ? t.step.tapping : undefined} onClick={take}>
        {state.isBusy ? t.step.tapping : t.step.tap}
      </Button>
      {state.error !== undefined && <Problem error={state.error} onRetry={take} />}
      {state.samples?.length === 0 && <p className="dim">{t.step.nothingTapped}</p>}
      {state.samples && <Choices samples={state.samples} label={t.step.tapped} {...{ chosen, refused, onRun }} />}
    </div>
  );
}

function Letters({ name, chosen, refused, onRun }: SampleFormProps) {
  const { value, error, again } = useFetched<{ readonly deadletters: readonly Letter[] }>(`deadletters${query({ graph: name, limit: 20 })}`);
  if (error !== undefined) return <Problem error={error} onRetry={again} />;
  if (!value) return <p className="dim">{t.parts.loading}</p>;
  if (value.deadletters.length === 0) return <p className="dim">{t.step.noLetters}</p>;
  return (
    <ul className="choices" aria-label={t.step.letters}>
      {value.deadletters.map((letter) => (
        <li key={letter.id}>
          <Button kind="plain" aria-pressed={chosen?.post["letter"] === letter.id} refused={refused} onClick={() => onRun(deadLettered(letter))}>
            <span>
              <strong>{letter.filter}</strong> {letter.error}
              <span className="dim"> {ago(letter.time)}</span>
            </span>
          </Button>
        </li>
      ))}
    </ul>
  );
}

export function SampleForm(props: SampleFormProps) {
  const [tab, setTab] = useState("paste");
  const samples = recorded(props.doc.tests);
  const { chosen, refused, onRun } = props;
  return (
    <Tabs
      label={t.step.samples}
      chosen={tab}
      onChoose={setTab}
      tabs={[
        { id: "paste", name: t.step.paste, content: () => <Paste {...props} /> },
        {
          id: "recorded",
          name: t.step.recorded,
          content: () => (samples.length ? <Choices samples={samples} label={t.step.recorded} {...{ chosen, refused, onRun }} /> : <p className="dim">{t.step.noTests}</p>),
        },
        { id: "tapped", name: t.step.tapped, content: () => <Tap {...props} /> },
        { id: "letters", name: t.step.letters, content: () => <Letters {...props} /> },
      ]}
    />
  );
}

