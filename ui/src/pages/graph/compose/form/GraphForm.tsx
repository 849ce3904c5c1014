/** The settings of the graph itself, shown while nothing on the canvas is chosen. */

import { Plus, X } from "lucide-react";
import { useState } from "react";
import { type Json, own } from "../../../../model/json";
import type { GraphDoc } from "../../../../model/graph";
import { otherKeys } from "../../../../model/graph";
import type { Fault } from "../../../../model/problems";
import type { Field } from "../../../../model/schema";
import { Button } from "../../../../parts/Button";
import { t } from "../../../../texts";
import type { Editing } from "../Editing";
import { FieldInput, type Wrong } from "./FieldInput";

const PLAIN = { help: "", isRequired: false, isNullable: false, isSecret: false, bounds: {} };
const TEXT: Field = { ...PLAIN, name: "", kind: "text" };
const LIMIT: Field = { ...PLAIN, name: "", kind: "any" };

const NAMES: readonly ("routes" | "inherit")[] = ["routes", "inherit"];
const FIELDS: readonly Field[] = [
  { ...TEXT, name: "order_by", kind: "choice", choices: ["id"] },
  { ...TEXT, name: "schedule" },
  { ...TEXT, name: "missed", kind: "choice", choices: ["once", "skip"], default: "once" },
  { ...TEXT, name: "firing", kind: "choice", choices: ["node", "fleet"], default: "node" },
  { ...TEXT, name: "weight", kind: "integer", bounds: { minimum: 1, maximum: 10 }, default: 1 },
  { ...TEXT, name: "max_instances", kind: "integer", bounds: { minimum: 1 } },
  { ...TEXT, name: "trace", kind: "number", bounds: { minimum: 0, maximum: 1 }, default: 0 },
  { ...TEXT, name: "provenance", kind: "boolean", default: false },
  { ...TEXT, name: "limits", kind: "map", item: LIMIT },
  { ...TEXT, name: "pools", kind: "map", item: { ...TEXT, kind: "map", item: LIMIT } },
];

interface NamesProps {
  readonly name: "routes" | "inherit";
  readonly names: readonly string[];
  readonly refused: string | undefined;
  readonly wrong: readonly Wrong[];
  readonly onChange: (next: readonly string[]) => void;
}

/** A set of names: each can be taken away, another one is typed. */
function NamesInput({ name, names, refused, wrong, onChange }: NamesProps) {
  const [typed, setTyped] = useState("");
  const label = t.compose.fieldNames[name];
  const add = () => {
    if (!typed.trim() || refused !== undefined) return;
    onChange([...names, typed.trim()]);
    setTyped("");
  };
  return (
    <div className="field" role="group" aria-label={label}>
      <span className="label">{label}</span>
      {names.length > 0 && (
        <div className="row">
          {names.map((each) => (
            <span key={each} className="chip">
              {each}
              <Button kind="plain" className="small" refused={refused} name={t.compose.withoutKey(each)} icon={<X size={12} aria-hidden />} onClick={() => onChange(names.filter((other) => other !== each))} />
            </span>
          ))}
        </div>
      )}
      <div className="row nowrap">
        <input
          type="text"
          data-place={name}
          aria-label={t.compose.nameIn(label)}
          placeholder={t.compose.newName}
          value={typed}
          readOnly={refused !== undefined}
          title={refused}
          aria-invalid={wrong.length > 0 || undefined}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            add();
          }}
        />
        <Button refused={refused ?? (typed.trim() ? undefined : t.compose.nameFirst)} icon={<Plus size={14} aria-hidden />} aria-label={t.compose.addTo(label)} onClick={add}>
          {t.compose.add}
        </Button>
      </div>
      <p className="help">{t.compose.fieldHelp[name]}</p>
      {wrong.length > 0 && (
        <p className="wrong" role="alert">
          {wrong.map((each) => each.message).join(" ")}
        </p>
      )}
    </div>
  );
}

export interface GraphFormProps {
  readonly doc: GraphDoc;
  readonly editing: Editing;
  readonly faults: readonly Fault[];
  readonly refused: string | undefined;
}

export function GraphForm({ doc, editing, faults, refused }: GraphFormProps) {
  const { draft } = editing;
  const wrongOf = (key: string): readonly Wrong[] =>
    faults.flatMap(({ where, message }) => {
      const [root, ...path] = where.split(".");
      return root === key ? [{ path, message }] : [];
    });
  const known = new Set(["description", ...FIELDS.map((field) => field.name)]);
  const field = (each: Field) => (
    <FieldInput
      key={each.name}
      field={{ ...each, help: own(t.compose.fieldHelp, each.name) ?? "" }}
      label={own(t.compose.fieldNames, each.name) ?? each.name}
      place={each.name}
      value={own(doc as unknown as Readonly<Record<string, Json>>, each.name)}
      onChange={(next) => editing.field(each.name, next)}
      onSettle={draft.settle}
      refused={refused}
      wrong={wrongOf(each.name)}
    />
  );
  const others = Object.keys(otherKeys(doc)).filter((key) => !known.has(key));
  const more = FIELDS.filter((each) => each.name !== "order_by" && each.name !== "schedule");
  return (
    <>
      <header>
        <h2>{t.compose.graph}</h2>
      </header>
      <p className="dim">{t.compose.nothingChosen}</p>
      {field({ ...TEXT, name: "description", kind: "lines" })}
      {NAMES.map((key) => (
        <NamesInput key={key} name={key} names={doc[key]} refused={refused} wrong={wrongOf(key)} onChange={(next) => editing.names(key, next)} />
      ))}
      {FIELDS.filter((each) => !more.includes(each)).map(field)}
      <details open={more.some((each) => Object.hasOwn(doc, each.name)) || others.length > 0}>
        <summary>{t.compose.moreSettings}</summary>
        <div className="stack">
          {more.map(field)}
          {others.map((name) => field({ ...TEXT, name, kind: "json" }))}
        </div>
      </details>
    </>
  );
}
