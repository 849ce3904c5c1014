/** One parameter as a part of a form, of whatever kind it is; lists and maps have parts within. */

import { ArrowDown, ArrowUp, Plus, RotateCcw, X } from "lucide-react";
import { type ReactNode, useEffect, useId, useState } from "react";
import { type Json, type JsonObject, equal, isObject, own } from "../../../../model/json";
import type { Field } from "../../../../model/schema";
import { blank, isBare, parse, show, variablesIn } from "../../../../model/typed";
import { optionOf, problemsOf } from "../../../../model/validity";
import { Button } from "../../../../parts/Button";
import { t } from "../../../../texts";
import { say } from "../words";

/** What is wrong at a place, as the node says it. */
export interface Wrong {
  readonly path: readonly string[];
  readonly message: string;
}

export interface FieldProps {
  readonly field: Field;
  readonly label: string;
  /** Where it is, for those who lead there: `params.fields.0`. */
  readonly place: string;
  readonly value: Json | undefined;
  /** Undefined: it is not given. */
  readonly onChange: (next: Json | undefined) => void;
  /** Typing here is over. */
  readonly onSettle: () => void;
  readonly refused: string | undefined;
  /** Paths begin at this field. */
  readonly wrong: readonly Wrong[];
  /** Beside the label: an item of a list is taken away there. */
  readonly beside?: ReactNode;
}

const within = (wrong: readonly Wrong[], key: string): readonly Wrong[] => wrong.flatMap(({ path, message }) => (path[0] === key ? [{ path: path.slice(1), message }] : []));

export function FieldInput(props: FieldProps) {
  const { field, label, value, wrong, onChange, refused, beside, place } = props;
  const id = useId();
  const mine = problemsOf(field, value).filter((each) => each.path.length === 0).map((each) => say(each.said));
  // what is told of what is within stands there
  const isWhole = !["list", "map", "object", "either"].includes(field.kind);
  const theirs = wrong.filter((each) => isWhole || each.path.length === 0).map((each) => each.message);
  const messages = mine.length ? mine : theirs;
  const bare = isBare(field, value) && !messages.length ? t.compose.bareSecret : undefined;
  const isGroup = ["list", "map", "object"].includes(field.kind) && !(typeof value === "string");
  const described = [field.help && `${id}-help`, messages.length && `${id}-wrong`].filter(Boolean).join(" ") || undefined;
  const common = { id, "data-place": place, "aria-describedby": described, "aria-invalid": messages.length > 0 || undefined, "aria-required": field.isRequired || undefined };
  const canReset = value !== undefined && !field.isRequired && refused === undefined;
  const head = (
    <div className="field-head">
      {isGroup ? <span className="label" id={`${id}-label`}>{label}</span> : <label htmlFor={id}>{label}</label>}
      {field.isRequired && !beside && <span className="dim">{t.compose.required}</span>}
      {field.unit && Object.hasOwn(t.compose.units, field.unit) && <span className="dim">{t.compose.units[field.unit]}</span>}
      <span className="end">
        {canReset && <Button kind="plain" className="small" name={t.compose.toDefault(label)} icon={<RotateCcw size={14} aria-hidden />} onClick={() => onChange(undefined)} />}
        {beside}
      </span>
    </div>
  );
  return (
    <div className="field" {...(isGroup ? { role: "group", "aria-labelledby": `${id}-label`, "aria-describedby": described } : {})}>
      {label && head}
      <Control {...props} common={common} />
      {field.help && (
        <p className="help" id={`${id}-help`}>
          {field.help.replace(/``/g, "")}
        </p>
      )}
      {messages.length > 0 && (
        <p className="wrong" id={`${id}-wrong`} role="alert">
          {messages.join(" ")}
        </p>
      )}
      {bare && <p className="wrong">{bare}</p>}
    </div>
  );
}

interface ControlProps extends FieldProps {
  readonly common: Readonly<Record<string, string | boolean | undefined>>;
}

function Control(props: ControlProps) {
  const { field, value } = props;
  if (field.isSecret) return <SecretInput {...props} />;
  // `${NAME}` may stand for a value of every kind
  if (typeof value === "string" && variablesIn(value).length && !["text", "lines", "any"].includes(field.kind)) return <TextInput {...props} field={{ ...field, kind: "text" }} />;
  switch (field.kind) {
    case "boolean":
      return <BooleanInput {...props} />;
    case "choice":
      return <ChoiceInput {...props} />;
    case "list":
      return <ListInput {...props} />;
    case "map":
      return <MapInput {...props} />;
    case "object":
      return <ObjectInput {...props} />;
    case "either":
      return <EitherInput {...props} />;
    default:
      return <TextInput {...props} />;
  }
}

/** What is typed stays as it is while it is typed; what it stands for is passed on as soon as it has a form. */
function TextInput({ field, label, value, onChange, onSettle, refused, common }: ControlProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const shown = typed ?? show(field, value);
  // the value changes beside what was typed: by undo, or by others
  useEffect(() => {
    if (error === null) return;
    setTyped(null);
    setError(null);
  }, [value]);
  const take = (text: string) => {
    setTyped(text);
    const parsed = parse(field, text);
    if ("error" in parsed) return setError(say(parsed.error));
    setError(null);
    const isNothing = parsed.value === "" && !field.isRequired && (field.default === undefined || field.default === "" || field.default === null || Number(field.bounds["minLength"] ?? 0) > 0);
    onChange(isNothing ? undefined : parsed.value);
  };
  const shared = {
    ...common,
    "aria-label": label ? undefined : t.compose.item,
    "aria-invalid": error !== null || common["aria-invalid"] === true || undefined,
    value: shown,
    readOnly: refused !== undefined,
    title: refused,
    placeholder: field.default === undefined || field.default === null ? undefined : show(field, field.default),
    // what stands for nothing stays to be seen with its reason, or one would take the value before for the one that was typed
    onBlur: () => {
      if (error === null) setTyped(null);
      onSettle();
    },
  };
  return (
    <>
      {["lines", "json"].includes(field.kind) ? (
        <textarea {...shared} rows={Math.min(12, Math.max(3, shown.split("\n").length))} className="mono" spellCheck={false} onChange={(event) => take(event.target.value)} />
      ) : (
        <input {...shared} type="text" inputMode={field.kind === "integer" ? "numeric" : undefined} spellCheck={false} onChange={(event) => take(event.target.value)} />
      )}
      {error !== null && (
        <p className="wrong" role="alert">
          {error}
        </p>
      )}
    </>
  );
}

/** The name of the variable that holds a secret; a value itself is never shown. */
function SecretInput({ value, onChange, onSettle, refused, common }: ControlProps) {
  const text = typeof value === "string" ? value : "";
  const isReference = variablesIn(text).length > 0;
  const [typed, setTyped] = useState<string | null>(null);
  const shown = typed ?? (isReference ? text.replace(/^\$\{([A-Za-z_]\w*)\}$/, "$1") : "");
  return (
    <input
      {...common}
      type="text"
      className="mono"
      spellCheck={false}
      autoComplete="off"
      value={shown}
      readOnly={refused !== undefined}
      title={refused}
      placeholder={text && !isReference ? t.compose.hiddenSecret : t.compose.secretVariable}
      onChange={(event) => {
        const next = event.target.value.trim();
        setTyped(event.target.value);
        onChange(next === "" ? undefined : next.includes("${") ? next : /^[A-Za-z_]\w*$/.test(next) ? `\${${next}}` : next);
      }}
      onBlur={() => {
        setTyped(null);
        onSettle();
      }}
    />
  );
}

function BooleanInput({ field, value, onChange, refused, common }: ControlProps) {
  const isOn = (value ?? field.default ?? false) === true;
  return (
    <label className="check">
      <input {...common} type="checkbox" checked={isOn} aria-disabled={refused !== undefined || undefined} title={refused} onChange={() => refused === undefined && onChange(!isOn)} />
      {isOn ? t.compose.yes : t.compose.no}
    </label>
  );
}

function ChoiceInput({ field, label, value, onChange, refused, common }: ControlProps) {
  const choices = field.choices ?? [];
  const at = choices.findIndex((choice) => equal(choice, value));
  const first = field.default === undefined ? t.compose.choose : t.compose.defaultIs(show(field, field.default));
  return (
    <select
      {...common}
      aria-label={label ? undefined : t.compose.item}
      value={value === undefined ? "" : at < 0 ? "other" : String(at)}
      aria-disabled={refused !== undefined || undefined}
      title={refused}
      onChange={(event) => refused === undefined && event.target.value !== "other" && onChange(event.target.value === "" ? undefined : choices[Number(event.target.value)])}
    >
      {(!field.isRequired || value === undefined) && <option value="">{first}</option>}
      {value !== undefined && at < 0 && <option value="other">{show(field, value)}</option>}
      {choices.map((choice, position) => (
        <option key={position} value={position}>
          {show(field, choice)}
        </option>
      ))}
    </select>
  );
}

function ListInput({ field, label, place, value, onChange, onSettle, refused, wrong, common }: ControlProps) {
  const given = Array.isArray(value) ? (value as readonly Json[]) : Array.isArray(field.default) ? (field.default as readonly Json[]) : [];
  const [fresh, setFresh] = useState(-1);
  const item = field.item as Field;
  useEffect(() => {
    if (fresh < 0) return;
    document.querySelector<HTMLElement>(`[data-place="${CSS.escape(`${place}.${fresh}`)}"]`)?.focus();
    setFresh(-1);
  }, [fresh, place]);
  const put = (next: readonly Json[]) => {
    onChange(next);
    onSettle();
  };
  const add = (at: number) => {
    put([...given.slice(0, at), blank(item), ...given.slice(at)]);
    setFresh(at);
  };
  const swap = (at: number) => put(given.map((each, position) => (position === at ? (given[at + 1] ?? null) : position === at + 1 ? (given[at] ?? null) : each)));
  return (
    <div className="many" data-place={place} id={common["id"] as string} tabIndex={-1}>
      {given.map((each, at) => (
        <div
          key={at}
          className="one"
          onKeyDown={(event) => {
            if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement) || refused !== undefined) return;
            event.preventDefault();
            add(at + 1);
          }}
        >
          <FieldInput
            field={item}
            label={t.compose.itemOf(at + 1)}
            place={`${place}.${at}`}
            value={each}
            onChange={(next) => onChange(given.map((other, position) => (position === at ? (next ?? "") : other)))}
            onSettle={onSettle}
            refused={refused}
            wrong={within(wrong, String(at))}
            beside={
              <>
                {at > 0 && <Button kind="plain" className="small" refused={refused} name={t.compose.up(at + 1)} icon={<ArrowUp size={14} aria-hidden />} onClick={() => swap(at - 1)} />}
                {at < given.length - 1 && <Button kind="plain" className="small" refused={refused} name={t.compose.down(at + 1)} icon={<ArrowDown size={14} aria-hidden />} onClick={() => swap(at)} />}
                <Button kind="plain" className="small" refused={refused} name={t.compose.without(at + 1)} icon={<X size={14} aria-hidden />} onClick={() => put(given.filter((_, position) => position !== at))} />
              </>
            }
          />
        </div>
      ))}
      <Button refused={refused} className="small" icon={<Plus size={14} aria-hidden />} aria-label={t.compose.addTo(label)} onClick={() => add(given.length)}>
        {t.compose.add}
      </Button>
    </div>
  );
}

function MapInput({ field, label, place, value, onChange, onSettle, refused, wrong, common }: ControlProps) {
  const given: JsonObject = isObject(value) ? value : isObject(field.default) ? field.default : {};
  const [name, setName] = useState("");
  const [fresh, setFresh] = useState("");
  const item = field.item as Field;
  const id = useId();
  useEffect(() => {
    if (!fresh) return;
    document.querySelector<HTMLElement>(`[data-place="${CSS.escape(`${place}.${fresh}`)}"]`)?.focus();
    setFresh("");
  }, [fresh, place]);
  const isTaken = Object.hasOwn(given, name.trim());
  const add = () => {
    const key = name.trim();
    if (!key || isTaken) return;
    onChange({ ...given, [key]: blank(item) });
    onSettle();
    setName("");
    setFresh(key);
  };
  return (
    <div className="many" data-place={place} id={common["id"] as string} tabIndex={-1}>
      {Object.entries(given).map(([key, each]) => (
        <FieldInput
          key={key}
          field={item}
          label={key}
          place={`${place}.${key}`}
          value={each}
          onChange={(next) => onChange({ ...given, [key]: next ?? "" })}
          onSettle={onSettle}
          refused={refused}
          wrong={within(wrong, key)}
          beside={
            <Button
              kind="plain"
              className="small"
              refused={refused}
              name={t.compose.withoutKey(key)}
              icon={<X size={14} aria-hidden />}
              onClick={() => {
                onChange(Object.fromEntries(Object.entries(given).filter(([other]) => other !== key)));
                onSettle();
              }}
            />
          }
        />
      ))}
      <div className="row nowrap">
        <input
          type="text"
          id={id}
          aria-label={t.compose.nameIn(label)}
          placeholder={t.compose.newName}
          value={name}
          readOnly={refused !== undefined}
          title={refused}
          aria-invalid={isTaken || undefined}
          onChange={(event) => setName(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            add();
          }}
        />
        <Button refused={refused ?? (isTaken ? t.compose.keyTaken : name.trim() ? undefined : t.compose.nameFirst)} icon={<Plus size={14} aria-hidden />} aria-label={t.compose.addTo(label)} onClick={add}>
          {t.compose.add}
        </Button>
      </div>
    </div>
  );
}

function ObjectInput({ field, place, value, onChange, onSettle, refused, wrong }: ControlProps) {
  const given: JsonObject = isObject(value) ? value : {};
  return (
    <div className="many" data-place={place} tabIndex={-1}>
      {(field.fields ?? []).map((each) => (
        <FieldInput
          key={each.name}
          field={each}
          label={each.name}
          place={`${place}.${each.name}`}
          value={own(given, each.name)}
          onChange={(next) => onChange(next === undefined ? Object.fromEntries(Object.entries(given).filter(([key]) => key !== each.name)) : { ...given, [each.name]: next })}
          onSettle={onSettle}
          refused={refused}
          wrong={within(wrong, each.name)}
        />
      ))}
    </div>
  );
}

function EitherInput(props: ControlProps) {
  const { field, value, onChange, refused, common } = props;
  const options = field.options ?? [];
  const at = optionOf(field, value ?? field.default);
  const option = options[at];
  return (
    <>
      <select
        aria-label={t.compose.form}
        value={at}
        aria-disabled={refused !== undefined || undefined}
        title={refused}
        onChange={(event) => {
          const next = options[Number(event.target.value)];
          if (refused === undefined && next) onChange(blank(next));
        }}
      >
        {options.map((each, position) => (
          <option key={position} value={position}>
            {t.compose.kinds[each.kind]}
          </option>
        ))}
      </select>
      {option && <Control {...props} field={option} common={common} />}
    </>
  );
}
