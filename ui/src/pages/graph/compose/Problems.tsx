/** Everything that keeps a draft from running, each with a way to where it is. */

import { X } from "lucide-react";
import type { GraphDoc } from "../../../model/graph";
import { wireKey } from "../../../model/graph";
import { type Fault, type Target, targetOf } from "../../../model/problems";
import { Button } from "../../../parts/Button";
import { t } from "../../../texts";
import { commentItem } from "../canvas/items";

export interface ProblemsProps {
  readonly doc: GraphDoc;
  readonly checked: GraphDoc;
  readonly faults: readonly Fault[];
  /** Lead to some things on the canvas, and to a field of the form. */
  readonly onLead: (ids: readonly string[], place?: string) => void;
  readonly onClose: () => void;
}

function nameOf(target: Target): string {
  switch (target.kind) {
    case "filter":
      return [target.filter, ...(target.path?.length ? target.path : target.option ? [target.option] : [])].join(" · ");
    case "filters":
      return target.filters.join(", ");
    case "wire":
      return target.wire.join(" → ");
    case "test":
      return t.compose.test(target.test);
    case "comment":
      return t.compose.comment;
    case "field":
      return target.key;
    default:
      return t.compose.graph;
  }
}

function placeOf(target: Target): readonly [readonly string[], string?] {
  switch (target.kind) {
    case "filter":
      return target.path?.length ? [[target.filter], ["params", ...target.path].join(".")] : [[target.filter], target.option ?? "name"];
    case "filters":
      return [target.filters];
    case "wire":
      return [[wireKey(target.wire)]];
    case "comment":
      return [[commentItem(target.comment)]];
    case "field":
      return [[], target.key];
    default:
      return [[]];
  }
}

export function Problems({ doc, checked, faults, onLead, onClose }: ProblemsProps) {
  return (
    <section className="problems" aria-label={t.compose.problems}>
      <header className="row spread nowrap">
        <h2>{t.compose.problemCount(faults.length)}</h2>
        <Button kind="plain" name={t.parts.close} icon={<X size={16} aria-hidden />} onClick={onClose} />
      </header>
      {faults.length === 0 && <p className="dim">{t.compose.noProblems}</p>}
      <ul>
        {faults.map((fault, position) => {
          const target = targetOf(doc, fault, checked);
          return (
            <li key={position}>
              <button type="button" onClick={() => onLead(...placeOf(target))}>
                <span className="mono">{nameOf(target)}</span>
                <span>{fault.message}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
