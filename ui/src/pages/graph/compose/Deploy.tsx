/** Making a draft what runs: with a note of what was changed, for the history. */

import { Rocket } from "lucide-react";
import { useState } from "react";
import { Button } from "../../../parts/Button";
import { Dialog, focusFirst } from "../../../parts/Dialog";
import { notify } from "../../../parts/Notices";
import { address, go } from "../../../router";
import { t } from "../../../texts";
import type { Draft } from "./draft";

export interface DeployProps {
  readonly draft: Draft;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

export function Deploy({ draft, onClose, onDone }: DeployProps) {
  const [note, setNote] = useState("");
  const [isBusy, setBusy] = useState(false);
  const deploy = async () => {
    setBusy(true);
    const version = await draft.deploy(note);
    setBusy(false);
    onClose();
    if (version === null) return;
    notify({ text: t.compose.deployed(draft.graph, version), kind: "ok", action: { name: t.compose.watch, run: () => go(address(["graphs", draft.graph])) } });
    onDone();
  };
  return (
    <Dialog
      title={t.compose.deployTitle(draft.graph)}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t.parts.cancel}</Button>
          <Button kind="primary" icon={<Rocket size={16} aria-hidden />} refused={isBusy ? t.compose.deploying : undefined} onClick={() => void deploy()}>
            {isBusy ? t.compose.deploying : t.compose.deploy}
          </Button>
        </>
      }
    >
      <p>{t.compose.deployHelp}</p>
      <form
        className="field"
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBusy) void deploy();
        }}
      >
        <label htmlFor="deploy-note">{t.compose.note}</label>
        <input id="deploy-note" type="text" ref={focusFirst} value={note} maxLength={500} onChange={(event) => setNote(event.target.value)} />
      </form>
    </Dialog>
  );
}
