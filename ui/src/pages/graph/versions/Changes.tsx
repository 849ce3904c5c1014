/** The difference of two versions in words: what came, what went, and what is otherwise, with before and after. */

import type { ReactNode } from "react";
import type { Both, Mark } from "../../../model/both";
import { exact } from "../../../model/exact";
import { isEmpty, type Changed, type Gained } from "../../../model/difference";
import { type GraphDoc, type Wire, filterOf, wireKey } from "../../../model/graph";
import { ValueDiff } from "../../../parts/DiffView";
import { t } from "../../../texts";

const SIGNS: Readonly<Record<Mark, string>> = { added: "+", removed: "−", changed: "~" };

function Sign({ mark }: { readonly mark: Mark }) {
  return (
    <span className={`chip ${mark === "added" ? "ok" : mark === "removed" ? "bad" : "warn"}`}>
      <span aria-hidden>{SIGNS[mark]}</span> {t.versions.marks[mark]}
    </span>
  );
}

function Values({ changes, label }: { readonly changes: readonly Changed[]; readonly label: string }) {
  if (changes.length === 0) return null;
  return (
    <div className="diff">
      <table aria-label={label}>
        <tbody>
          {changes.map(({ name, before, after }) => (
            <tr key={name} className={before === undefined ? "added" : after === undefined ? "removed" : "changed"}>
              <th scope="row">{name}</th>
              <td>
                <ValueDiff before={before === undefined ? undefined : exact(before)} after={after === undefined ? undefined : exact(after)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function FilterPart({ name, mark, says, chosen, onChoose, children }: { readonly name: string; readonly mark: Mark; readonly says: string; readonly chosen: boolean; readonly onChoose: () => void; readonly children?: ReactNode }) {
  return (
    <li className={chosen ? "chosen" : ""} data-item={name}>
      <div className="row">
        <Sign mark={mark} />
        <button type="button" className="link" onClick={onChoose}>
          {name}
        </button>
        <span className="dim">{says}</span>
      </div>
      {children}
    </li>
  );
}

function Wires({ wires, mark, selected, onSelect }: { readonly wires: readonly Wire[]; readonly mark: Mark; readonly selected: ReadonlySet<string>; readonly onSelect: (id: string) => void }) {
  return wires.map((wire) => (
    <li key={wireKey(wire)} className={selected.has(wireKey(wire)) ? "chosen" : ""}>
      <div className="row">
        <Sign mark={mark} />
        <button type="button" className="link" onClick={() => onSelect(wireKey(wire))}>
          {wire[0]} → {wire[1]}
        </button>
      </div>
    </li>
  ));
}

function Names({ title, names }: { readonly title: string; readonly names: Gained<string> }) {
  if (names.added.length + names.removed.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      <ul>
        {names.removed.map((name) => (
          <li key={`-${name}`} className="row">
            <Sign mark="removed" /> <code>{name}</code>
          </li>
        ))}
        {names.added.map((name) => (
          <li key={`+${name}`} className="row">
            <Sign mark="added" /> <code>{name}</code>
          </li>
        ))}
      </ul>
    </section>
  );
}

export interface ChangesProps {
  readonly found: Both;
  readonly before: GraphDoc;
  readonly after: GraphDoc;
  readonly selected: ReadonlySet<string>;
  readonly onSelect: (id: string) => void;
}

export function Changes({ found, before, after, selected, onSelect }: ChangesProps) {
  const { filters, wires, moved, fields, routes, inherit, tests, comments } = found.difference;
  const paramsOf = (doc: GraphDoc, name: string, isAfter: boolean): readonly Changed[] =>
    Object.entries(filterOf(doc, name)?.params ?? {}).map(([param, value]) => ({ name: param, before: isAfter ? undefined : value, after: isAfter ? value : undefined }));
  const hasFilters = filters.added.length + filters.removed.length + filters.changed.length > 0;
  const hasWires = wires.added.length + wires.removed.length > 0;
  return (
    <div className="changes" role="region" aria-label={t.versions.changes} tabIndex={0}>
      {isEmpty(found.difference) && moved.length === 0 && <p className="empty">{t.versions.same}</p>}
      {hasFilters && (
        <section>
          <h3>{t.versions.filters}</h3>
          <ul>
            {filters.removed.map((name) => {
              const id = found.removed.get(name) ?? name;
              return (
                <FilterPart key={`-${name}`} name={name} mark="removed" says={filterOf(before, name)?.component ?? ""} chosen={selected.has(id)} onChoose={() => onSelect(id)}>
                  <Values changes={paramsOf(before, name, false)} label={t.versions.paramsOf(name)} />
                </FilterPart>
              );
            })}
            {filters.added.map((name) => (
              <FilterPart key={`+${name}`} name={name} mark="added" says={filterOf(after, name)?.component ?? ""} chosen={selected.has(name)} onChoose={() => onSelect(name)}>
                <Values changes={paramsOf(after, name, true)} label={t.versions.paramsOf(name)} />
              </FilterPart>
            ))}
            {filters.changed.map(({ name, from, params, options }) => (
              <FilterPart key={name} name={name} mark="changed" says={from === undefined ? (filterOf(after, name)?.component ?? "") : t.versions.renamed(from)} chosen={selected.has(name)} onChoose={() => onSelect(name)}>
                <Values changes={[...options, ...params]} label={t.versions.paramsOf(name)} />
              </FilterPart>
            ))}
          </ul>
        </section>
      )}
      {hasWires && (
        <section>
          <h3>{t.versions.wires}</h3>
          <ul>
            <Wires wires={wires.removed} mark="removed" selected={selected} onSelect={onSelect} />
            <Wires wires={wires.added} mark="added" selected={selected} onSelect={onSelect} />
          </ul>
        </section>
      )}
      <Names title={t.versions.routes} names={routes} />
      <Names title={t.versions.inherit} names={inherit} />
      {fields.length > 0 && (
        <section>
          <h3>{t.versions.fields}</h3>
          <Values changes={fields} label={t.versions.fields} />
        </section>
      )}
      {tests.length > 0 && (
        <section>
          <h3>{t.versions.tests}</h3>
          <Values changes={tests} label={t.versions.tests} />
        </section>
      )}
      {comments.length > 0 && (
        <section>
          <h3>{t.versions.comments}</h3>
          <Values changes={comments.map(({ name, before: was, after: is }) => ({ name, before: textOf(was), after: textOf(is) }))} label={t.versions.comments} />
        </section>
      )}
      {moved.length > 0 && <p className="dim">{t.versions.moved(moved.length)}</p>}
    </div>
  );
}

/** Of a comment, what it says. */
function textOf(comment: Changed["before"]): Changed["before"] {
  return typeof comment === "object" && comment !== null && "text" in comment ? comment["text"] : comment;
}
