import { useId, useState } from "react";
import { Digits, type Exact, isListOf, kindOf, type Kind, NotJson, read, typed } from "../../model/exact";
import { HIDDEN } from "../../model/packet";
import { t } from "../../texts";

const KINDS: readonly Kind[] = ["text", "number", "boolean", "list", "object", "nothing"];
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** What is wrong with a JSON text, for people. */
export const faultOf = (error: NotJson): string => t.packet.notJson(error.line, error.column, t.packet.faults[error.fault]);

/** The value that a text is of a kind, or what is wrong with it. */
function valueOf(text: string, kind: Kind, isBinary: boolean): { readonly value: Exact } | { readonly wrong: string } {
  if (kind === "text") return isBinary && !BASE64.test(text) ? { wrong: t.packet.notBase64 } : { value: text };
  if (kind === "nothing") return { value: null };
  if (kind === "boolean") return { value: text.trim() === "true" };
  if (kind === "number") return NUMBER.test(text.trim()) ? { value: new Digits(text.trim()) } : { wrong: t.packet.notNumber };
  try {
    const value = read(text);
    return kindOf(value) === kind ? { value } : { wrong: t.packet.notKind(t.packet.kinds[kind]) };
  } catch (error) {
    if (error instanceof NotJson) return { wrong: faultOf(error) };
    throw error;
  }
}

/** The text with which a value of one kind goes on as one of another. */
function carried(text: string, kind: Kind, next: Kind): string {
  if (next === "list" && kind !== "list") return kind === "text" ? `[${JSON.stringify(text)}]` : `[${text}]`;
  if (next === "object") return kind === "object" ? text : "{}";
  if (kind === "list" && next === "text") {
    try {
      const value = read(text);
      if (isListOf(value) && value.length === 1 && typeof value[0] === "string") return value[0];
    } catch {
      // it goes on as it stands
    }
  }
  return text;
}

export interface ValueInputProps {
  readonly name: string;
  readonly value: Exact;
  readonly isBinary: boolean;
  readonly isHidden: boolean;
  /** It can only be looked at. */
  readonly isFixed: boolean;
  /** Another value; undefined while what stands there is none. */
  readonly onChange: (value: Exact | undefined) => void;
}

/** A value of a packet in an input for its kind; the kind stays until another one is chosen. */
export function ValueInput({ name, value, isBinary, isHidden, isFixed, onChange }: ValueInputProps) {
  const [kind, setKind] = useState(kindOf(value));
  const [text, setText] = useState(typed(value));
  const [isReplaced, setReplaced] = useState(false);
  const help = useId();
  if (isHidden && !isReplaced)
    return (
      <div className="hidden-value">
        <code>{HIDDEN}</code> <span className="dim">{t.packet.hidden}</span>
        {!isFixed && (
          <button
            type="button"
            className="link"
            onClick={() => {
              setReplaced(true);
              change("", kind);
            }}
          >
            {t.packet.replace}
          </button>
        )}
      </div>
    );

  const found = valueOf(text, kind, isBinary);
  const wrong = "wrong" in found ? found.wrong : undefined;

  function change(nextText: string, nextKind: Kind): void {
    setText(nextText);
    setKind(nextKind);
    const next = valueOf(nextText, nextKind, isBinary);
    onChange("wrong" in next ? undefined : next.value);
  }

  const shared = {
    "aria-label": t.packet.valueOf(name),
    "aria-invalid": wrong !== undefined || undefined,
    "aria-describedby": wrong === undefined ? undefined : help,
    readOnly: isFixed,
  };
  const rows = Math.min(Math.max(text.split("\n").length, Math.ceil(text.length / 60)), 12);
  return (
    <div className="value-input">
      <div className="inputs">
        {kind === "boolean" ? (
          <select aria-label={shared["aria-label"]} value={String(text.trim() === "true")} disabled={isFixed} onChange={(event) => change(event.target.value, kind)}>
            <option value="true">{t.packet.yes}</option>
            <option value="false">{t.packet.no}</option>
          </select>
        ) : kind === "nothing" ? (
          <code className="dim">null</code>
        ) : kind === "number" ? (
          <input type="text" inputMode="decimal" {...shared} className="mono" value={text} onChange={(event) => change(event.target.value, kind)} />
        ) : (
          <textarea {...shared} className={kind === "text" && !isBinary ? "" : "mono"} spellCheck={false} rows={rows} value={text} onChange={(event) => change(event.target.value, kind)} />
        )}
        <select aria-label={t.packet.kindOf(name)} value={kind} disabled={isFixed} onChange={(event) => change(carried(text, kind, event.target.value as Kind), event.target.value as Kind)}>
          {KINDS.map((each) => (
            <option key={each} value={each}>
              {each === "text" && isBinary ? t.packet.kinds.binary : t.packet.kinds[each]}
            </option>
          ))}
        </select>
      </div>
      {wrong !== undefined && (
        <p className="wrong" id={help}>
          {wrong}
        </p>
      )}
    </div>
  );
}
