/** What is chosen, as a form: a filter, a wire, a comment, or the graph itself. */

import { AlignCenterHorizontal, AlignStartVertical, Box, Cable, Copy, PackageOpen, Trash2, X } from "lucide-react";
import { Button } from "../../../parts/Button";
import { isComposite } from "../../../model/composites";
import { own } from "../../../model/json";
import { specOf } from "../../../model/ports";
import { type Wire, wireKey } from "../../../model/graph";
import { t } from "../../../texts";
import type { Fault } from "../../../model/problems";
import { targetOf } from "../../../model/problems";
import { commentItem } from "../canvas/items";
import type { Editing } from "./Editing";
import { FilterForm } from "./form/FilterForm";
import { GraphForm } from "./form/GraphForm";

export interface InspectorProps {
  readonly editing: Editing;
  readonly faults: readonly Fault[];
  readonly refused: string | undefined;
  readonly onConnect: () => void;
  readonly onMake: () => void;
  readonly mayNotCompose: string | undefined;
  readonly onClose: () => void;
}

export function Inspector({ editing, faults, refused, onConnect, onMake, mayNotCompose, onClose }: InspectorProps) {
  const { doc, specs, chosen } = editing;
  const { filters, wires, comments } = chosen;
  // a frame around filters takes their wires along
  const count = filters.length + comments.length || wires.length;
  const remove = (
    <Button kind="danger" refused={refused} icon={<Trash2 size={16} aria-hidden />} onClick={() => editing.remove()}>
      {t.compose.remove}
    </Button>
  );
  const duplicate = (
    <Button refused={refused} icon={<Copy size={16} aria-hidden />} onClick={() => editing.duplicate()}>
      {t.compose.duplicate}
    </Button>
  );
  const make = (
    <Button refused={refused ?? mayNotCompose} icon={<Box size={16} aria-hidden />} onClick={onMake}>
      {t.compose.makeComposite}
    </Button>
  );
  const [name, wire, comment] = [filters[0], wires[0], comments[0]];
  const filter = name === undefined ? undefined : own(doc.nodes, name);
  return (
    <aside
      className={`inspector ${count ? "chosen" : ""}`}
      aria-label={t.compose.inspector}
      onKeyDown={(event) => {
        // back to where it was chosen
        if (event.key !== "Escape" || event.defaultPrevented) return;
        event.preventDefault();
        const [only] = [...filters, ...wires.map(wireKey), ...comments.map(commentItem)];
        if (only === undefined) (event.target as HTMLElement).blur();
        else editing.view.current?.focus(only);
      }}
    >
      <div className="inspector-inner">
        <Button kind="plain" className="inspector-close" name={t.parts.close} icon={<X size={16} aria-hidden />} onClick={onClose} />
        {count > 1 ? (
          <>
            <h2>{t.compose.chosen(count)}</h2>
            <div className="row">
              <Button refused={refused} icon={<AlignStartVertical size={16} aria-hidden />} onClick={() => editing.align("left")}>
                {t.compose.align.left}
              </Button>
              <Button refused={refused} icon={<AlignCenterHorizontal size={16} aria-hidden />} onClick={() => editing.align("top")}>
                {t.compose.align.top}
              </Button>
              <Button refused={refused} onClick={() => editing.align("row")}>
                {t.compose.align.row}
              </Button>
              <Button refused={refused} onClick={() => editing.align("column")}>
                {t.compose.align.column}
              </Button>
            </div>
            <div className="row">
              {filters.length > 0 && make}
              {duplicate}
              {remove}
            </div>
          </>
        ) : name !== undefined && filter ? (
          <FilterForm
            key={filter.uid ?? name}
            {...{ name, filter, editing, faults, refused }}
            spec={specOf(specs, filter.component)}
            actions={
              <div className="row">
                <Button refused={refused} icon={<Cable size={16} aria-hidden />} onClick={onConnect}>
                  {t.compose.connect}
                </Button>
                {isComposite(specs, filter) && (
                  <Button refused={refused} icon={<PackageOpen size={16} aria-hidden />} onClick={() => void editing.takeApart()}>
                    {t.compose.takeApart}
                  </Button>
                )}
                {duplicate}
                {remove}
              </div>
            }
          />
        ) : wire ? (
          <WireForm wire={wire} editing={editing} faults={faults} remove={remove} />
        ) : comment !== undefined && own(doc.comments, comment) ? (
          <>
            <h2>{t.compose.comment}</h2>
            <div className="field">
              <label htmlFor="comment-text">{t.compose.commentText}</label>
              <textarea
                id="comment-text"
                rows={6}
                value={own(doc.comments, comment)?.text}
                readOnly={refused !== undefined}
                title={refused}
                onChange={(event) => editing.comment(comment, event.target.value)}
                onBlur={editing.draft.settle}
              />
            </div>
            <div className="row">{remove}</div>
          </>
        ) : (
          <GraphForm {...{ doc, editing, faults, refused }} />
        )}
      </div>
    </aside>
  );
}

interface WireFormProps {
  readonly wire: Wire;
  readonly editing: Editing;
  readonly faults: readonly Fault[];
  readonly remove: React.ReactNode;
}

function WireForm({ wire, editing, faults, remove }: WireFormProps) {
  const wrong = faults.filter((fault) => {
    const target = targetOf(editing.doc, fault);
    return target.kind === "wire" && wireKey(target.wire) === wireKey(wire);
  });
  return (
    <>
      <h2>{t.compose.wire}</h2>
      <p className="mono">
        {wire[0]} → {wire[1]}
      </p>
      {wrong.map((fault, position) => (
        <p key={position} className="wrong">
          {fault.message}
        </p>
      ))}
      <div className="row">{remove}</div>
    </>
  );
}
