/** A filter: its name, its parameters, its other settings, and what its component says of itself. */

import { type ReactNode, useEffect, useRef, useState } from "react";
import type { FilterDoc } from "../../../../model/graph";
import { type Json, type Said, own } from "../../../../model/json";
import { type Spec, inputsOf, outputsOf } from "../../../../model/ports";
import { type Fault, ofParam, targetOf } from "../../../../model/problems";
import { type Field, OPTION_FIELDS, fieldsOf } from "../../../../model/schema";
import { Icon } from "../../../../parts/Icon";
import { t } from "../../../../texts";
import { say } from "../words";
import type { Editing } from "../Editing";
import { FieldInput, type Wrong } from "./FieldInput";

export interface FilterFormProps {
  readonly name: string;
  readonly filter: FilterDoc;
  readonly spec: Spec | undefined;
  readonly editing: Editing;
  readonly faults: readonly Fault[];
  readonly refused: string | undefined;
  readonly actions: ReactNode;
}

/** Keys of a filter that have a place of their own in the form. */
const OWN = new Set(["component", "params", "uid"]);
const POOL: Field = { name: "pool", kind: "any", help: "", isRequired: false, isNullable: true, isSecret: false, bounds: {} };
const OTHER: Field = { ...POOL, kind: "json" };

/** A name that is typed, and taken over when that is done. */
export function NameInput({ name, refused, onRename, onLeave }: { readonly name: string; readonly refused: string | undefined; readonly onRename: (next: string) => Said | null; readonly onLeave: () => void }) {
  // what was typed and not taken yet; only that is a name to be taken when the field is left, which others' changes may bring about
  const [typed, setTyped] = useState<string | null>(null);
  const [why, setWhy] = useState<Said | null>(null);
  useEffect(() => setWhy(null), [name]);
  const take = () => {
    if (typed === null) return;
    const reason = typed.trim() === name ? null : onRename(typed.trim());
    setWhy(reason);
    if (reason === null) setTyped(null);
  };
  // a reload takes over what was typed
  const taking = useRef(take);
  taking.current = take;
  useEffect(() => {
    const leave = () => {
      taking.current();
      onLeave();
    };
    addEventListener("pagehide", leave);
    return () => removeEventListener("pagehide", leave);
  }, [onLeave]);
  return (
    <div className="field">
      <label htmlFor="filter-name">{t.compose.name}</label>
      <input
        id="filter-name"
        type="text"
        className="mono"
        value={typed ?? name}
        readOnly={refused !== undefined}
        title={refused}
        spellCheck={false}
        aria-invalid={why !== null || undefined}
        aria-describedby={why ? "filter-name-wrong" : undefined}
        onChange={(event) => {
          setTyped(event.target.value);
          setWhy(null);
        }}
        onBlur={take}
        onKeyDown={(event) => {
          if (event.key === "Enter") take();
          if (event.key === "Escape") setTyped(null);
        }}
      />
      {why && (
        <p className="wrong" id="filter-name-wrong" role="alert">
          {say(why)}
        </p>
      )}
    </div>
  );
}

export function FilterForm({ name, filter, spec, editing, faults, refused, actions }: FilterFormProps) {
  const { doc, draft } = editing;
  const fields = spec ? fieldsOf(spec.schema) : [];
  const known = new Set(fields.map((field) => field.name));
  const strange = Object.keys(filter.params).filter((key) => !known.has(key));
  const here = faults.flatMap((fault) => {
    const target = targetOf(doc, fault);
    return target.kind === "filter" && target.filter === name ? [{ fault, target }] : [];
  });
  const whole = here.filter(({ target }) => !target.path?.length && (target.option === undefined || target.option === "component"));
  const options = [...OPTION_FIELDS.filter((field) => spec?.batches || !field.name.startsWith("batch")), POOL];
  const others = Object.keys(filter).filter((key) => !OWN.has(key) && !options.some((field) => field.name === key));
  const param = (field: Field) => (
    <FieldInput
      key={field.name}
      field={field}
      label={field.name}
      place={`params.${field.name}`}
      value={own(filter.params, field.name)}
      onChange={(next) => editing.param(name, [field.name], next)}
      onSettle={draft.settle}
      refused={refused}
      wrong={ofParam(doc, faults, name, field.name).map(({ fault, path }): Wrong => ({ path, message: fault.message }))}
    />
  );
  const option = (field: Field) => (
    <FieldInput
      key={field.name}
      field={{ ...field, help: own(t.compose.optionHelp, field.name) ?? field.help }}
      label={field.name}
      place={field.name}
      value={own(filter as Readonly<Record<string, Json>>, field.name)}
      onChange={(next) => editing.option(name, field.name, next)}
      onSettle={draft.settle}
      refused={refused}
      wrong={here.flatMap(({ fault, target }): Wrong[] => (target.option === field.name ? [{ path: [], message: fault.message }] : []))}
    />
  );
  const areOptionsSet = options.some((field) => Object.hasOwn(filter, field.name)) || others.length > 0;
  return (
    <>
      <header className="row nowrap">
        <Icon spec={spec} />
        <h2>{filter.component}</h2>
      </header>
      {!spec && <p className="wrong">{t.canvas.unknown(filter.component)}</p>}
      {whole.map(({ fault }, position) => (
        <p className="wrong" key={position}>
          {fault.message}
        </p>
      ))}
      <NameInput key={filter.uid ?? name} name={name} refused={refused} onRename={(next) => editing.rename(name, next)} onLeave={draft.leave} />
      {spec && fields.length === 0 && <p className="dim">{t.compose.noParams}</p>}
      {fields.map(param)}
      {strange.map((key) => param({ ...OTHER, name: key }))}
      <details open={areOptionsSet}>
        <summary>{t.compose.options}</summary>
        <div className="stack">
          {options.map(option)}
          {others.map((key) => option({ ...OTHER, name: key }))}
        </div>
      </details>
      {spec && <About spec={spec} />}
      {actions}
    </>
  );
}

interface Example {
  readonly params?: unknown;
  readonly takes?: unknown;
  readonly gives?: unknown;
}

function About({ spec }: { readonly spec: Spec }) {
  const example = (spec as Spec & { readonly example?: Example | null }).example;
  const ports = (names: readonly string[], texts: Readonly<Record<string, string>>) => names.map((port) => (
    <div key={port}>
      <dt>{port}</dt>
      <dd>{own(texts, port) ?? t.compose.errorPort}</dd>
    </div>
  ));
  return (
    <details>
      <summary>{t.compose.about(spec.name)}</summary>
      <div className="stack about">
        {spec.doc.split(/\n\s*\n/).map((text, position) => (
          <p key={position}>{text.replace(/``/g, "").replace(/\n/g, " ")}</p>
        ))}
        {inputsOf(spec).length > 0 && (
          <>
            <h3>{t.compose.inputs}</h3>
            <dl>{ports(inputsOf(spec), spec.inputs)}</dl>
          </>
        )}
        <h3>{t.compose.outputs}</h3>
        <dl>{ports(outputsOf(spec), spec.outputs)}</dl>
        {example && (
          <>
            <h3>{t.compose.example}</h3>
            {([["params", t.compose.exampleParams], ["takes", t.compose.exampleTakes], ["gives", t.compose.exampleGives]] as const).map(([key, label]) => (
              <div key={key}>
                <p className="dim">{label}</p>
                <pre tabIndex={0} aria-label={label}>{JSON.stringify(example[key], null, 1)}</pre>
              </div>
            ))}
          </>
        )}
      </div>
    </details>
  );
}
