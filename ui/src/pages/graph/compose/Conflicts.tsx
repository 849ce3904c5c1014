/** Where two people changed the same thing: what others saved is in the graph, one's own is there to be chosen. */

import { type Json, isObject } from "../../../model/json";
import type { Conflict, Side } from "../../../model/merge";
import { Button } from "../../../parts/Button";
import { Dialog } from "../../../parts/Dialog";
import { t } from "../../../texts";
import { say } from "./words";

export interface ConflictsProps {
  readonly conflicts: readonly Conflict[];
  readonly onChoose: (conflict: Conflict, side: Side) => void;
  readonly onClose: () => void;
}

function Value({ value, title, action }: { readonly value: Json | undefined; readonly title: string; readonly action: React.ReactNode }) {
  const shown = isObject(value) && isObject(value["node"]) ? value["node"] : value;
  return (
    <div className="conflict-side">
      <h3>{title}</h3>
      {shown === undefined ? <p className="dim">{t.compose.removed}</p> : <pre tabIndex={0} aria-label={title}>{typeof shown === "string" ? shown : JSON.stringify(shown, null, 1)}</pre>}
      {action}
    </div>
  );
}

export function Conflicts({ conflicts, onChoose, onClose }: ConflictsProps) {
  return (
    <Dialog title={t.compose.conflicts(conflicts.length)} className="conflicts" onClose={onClose}>
      <p>{t.compose.conflictHelp}</p>
      <ul>
        {conflicts.map((conflict) => (
          <li key={conflict.id} className="card">
            <p>{say(conflict.why)}</p>
            <div className="sides">
              <Value
                title={t.compose.theirs}
                value={conflict.saved}
                action={<Button onClick={() => onChoose(conflict, "saved")}>{t.compose.keepTheirs}</Button>}
              />
              <Value
                title={t.compose.mine}
                value={conflict.mine}
                action={
                  <Button kind="primary" onClick={() => onChoose(conflict, "mine")}>
                    {t.compose.keepMine}
                  </Button>
                }
              />
            </div>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
