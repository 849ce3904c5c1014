import { diffLines, diffWordsWithSpace, type ChangeObject } from "diff";
import { useMemo, useState } from "react";
import { type Exact, type ExactObject, typed } from "../model/exact";
import { type Change, changes } from "../model/packet";
import { t } from "../texts";

/** Longer texts are compared line by line, and still longer ones only shown. */
const BY_WORDS = 4_000;
const COMPARED = 200_000;
const SHOWN = 4_000;

const KINDS: Readonly<Record<Change["kind"], string>> = {
  added: t.packet.added,
  removed: t.packet.removedKind,
  changed: t.packet.changed,
  same: t.packet.same,
};

function pieces(before: string, after: string): readonly ChangeObject<string>[] {
  const length = before.length + after.length;
  if (length > COMPARED) return [{ value: before, removed: true, added: false, count: 1 }, { value: after, added: true, removed: false, count: 1 }];
  return length > BY_WORDS ? diffLines(before, after) : diffWordsWithSpace(before, after);
}

const cut = (text: string): string => (text.length > SHOWN ? `${text.slice(0, SHOWN)} ${t.packet.cut(text.length - SHOWN)}` : text);

function Piece({ piece }: { readonly piece: ChangeObject<string> }) {
  if (piece.added) return <ins>{cut(piece.value)}</ins>;
  if (piece.removed) return <del>{cut(piece.value)}</del>;
  return <>{cut(piece.value)}</>;
}

/** A value before and after, what went struck through, what came marked. */
export function ValueDiff({ before, after }: { readonly before: Exact | undefined; readonly after: Exact | undefined }) {
  const [was, is] = [before === undefined ? "" : typed(before), after === undefined ? "" : typed(after)];
  const found = useMemo(() => {
    // "1" and 1 look the same, and are not
    if (was === is && before !== after && before !== undefined && after !== undefined)
      return pieces(typeof before === "string" ? JSON.stringify(before) : was, typeof after === "string" ? JSON.stringify(after) : is);
    return pieces(was, is);
  }, [was, is, before, after]);
  return (
    <span className="value-diff">
      {found.map((piece, at) => (
        <Piece key={at} piece={piece} />
      ))}
    </span>
  );
}

/** The names of two objects and what became of each; what is the same is shown on demand. */
export function DiffView({ before, after, label }: { readonly before: ExactObject; readonly after: ExactObject; readonly label: string }) {
  const [showsAll, setShowsAll] = useState(false);
  const all = useMemo(() => changes(before, after), [before, after]);
  const differing = all.filter((change) => change.kind !== "same");
  const count = all.length - differing.length;
  return (
    <div className="diff">
      {differing.length === 0 && <p className="dim">{t.packet.noChanges}</p>}
      {(showsAll ? all : differing).length > 0 && (
        <table aria-label={label}>
          <tbody>
            {(showsAll ? all : differing).map((change) => (
              <tr key={change.name} className={change.kind}>
                <th scope="row">
                  {change.name} <span className="kind">{KINDS[change.kind]}</span>
                </th>
                <td>
                  <ValueDiff before={change.before} after={change.after} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {count > 0 && !showsAll && (
        <button type="button" className="link" onClick={() => setShowsAll(true)}>
          {t.packet.showSame(count)}
        </button>
      )}
    </div>
  );
}
