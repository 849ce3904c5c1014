/** Removing a graph, after it was said what becomes of all that it has. */

import { useState } from "react";
import { ApiError, ask, path, query } from "../../api/http";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { notify } from "../../parts/Notices";
import { count } from "../../parts/numbers";
import { Problem } from "../../parts/Problem";
import { t } from "../../texts";
import type { Usage } from "./status";

export interface RemoveProps {
  readonly name: string;
  readonly usage: Usage;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

export function Remove({ name, usage, onClose, onDone }: RemoveProps) {
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  // it could not finish what waits: it can be removed with it
  const mayForce = error instanceof ApiError && error.status === 409;
  const remove = (force: boolean) => {
    setBusy(true);
    ask("DELETE", `${path("graphs", name)}${query({ force: force || undefined })}`)
      .then(() => {
        notify({ text: t.graphs.isRemoved(name), kind: "ok" });
        onDone();
        onClose();
      })
      .catch(setError)
      .finally(() => setBusy(false));
  };
  const refused = isBusy ? t.graphs.isRemoving : undefined;
  return (
    <Dialog
      title={t.graphs.removeGraph(name)}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t.parts.cancel}</Button>
          <Button kind="danger" refused={refused} onClick={() => remove(mayForce)}>
            {mayForce ? t.graphs.removeAnyway : t.graphs.remove}
          </Button>
        </>
      }
    >
      <p>{t.graphs.whatRemoveDoes}</p>
      <ul className="plain-list">
        <li>{usage.documents > 0 ? t.graphs.waitingAreDone(count(usage.documents)) : t.graphs.noneWaits}</li>
        <li>{t.graphs.versionsStay}</li>
        {usage.deadLetters > 0 && <li>{t.graphs.lettersStay(count(usage.deadLetters))}</li>}
      </ul>
      {isBusy && <p role="status">{t.graphs.isRemoving}</p>}
      {error !== undefined && <Problem error={error} />}
      {mayForce && <p className="warning">{t.graphs.whatForceDoes(count(usage.documents))}</p>}
    </Dialog>
  );
}
