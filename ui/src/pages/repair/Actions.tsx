import { useMemo, useRef, useState } from "react";
import { ask, path } from "../../api/http";
import { useCommands } from "../../commands/commands";
import { Button } from "../../parts/Button";
import { notify } from "../../parts/Notices";
import { messageOf } from "../../parts/Problem";
import { useRefusal } from "../../session";
import { t } from "../../texts";
import type { Run } from "./Again";
import { hold, touch } from "./held";
import type { WholeLetter } from "./letters";

export interface ActionsProps {
  readonly letter: WholeLetter;
  readonly onRun: (run: Run) => void;
  /** Changes that are not saved: saves them; false if that did not go well. */
  readonly save?: (() => Promise<boolean>) | undefined;
  /** Why they cannot be saved. */
  readonly wrong?: string | undefined;
}

/** Replay, from its filter or from the start, and deletion of one dead letter. */
export function Actions({ letter, onRun, save, wrong }: ActionsProps) {
  const [isBusy, setBusy] = useState(false);
  const mayNot = useRefusal("edit");
  const refused = mayNot ?? (isBusy ? t.parts.loading : undefined);

  const replay = async (from: "filter" | "start") => {
    setBusy(true);
    try {
      if (from === "filter" && save && !(await save())) return;
      // the steps of one are worth their price
      const { body } = await ask<{ receipt: string }>("POST", `${path("deadletters", letter.id, "replay")}?trace=1`, { body: { from } });
      onRun({ receipt: body.receipt });
      touch();
    } catch (error) {
      notify({ text: messageOf(error), kind: "bad" });
    } finally {
      setBusy(false);
    }
  };
  const remove = () => hold({ id: letter.id, count: 1 });
  // the commands stay the same ones, whatever is typed meanwhile
  const now = useRef({ replay, remove });
  now.current = { replay, remove };
  const fromFilter = refused ?? wrong ?? (letter.packet ? undefined : t.repair.noPacket);
  useCommands(
    useMemo(
      () => [
        { id: "replay", name: save ? t.repair.saveReplay : t.repair.fromFilter(letter.filter), keys: "Mod+Enter", refused: fromFilter, run: () => void now.current.replay("filter") },
        { id: "replay-start", name: t.repair.wholeStart, refused, run: () => void now.current.replay("start") },
        { id: "delete", name: t.repair.delete, refused, run: () => now.current.remove() },
      ],
      [refused, fromFilter, save === undefined, letter.filter],
    ),
  );
  return (
    <section className="actions stack">
      <div className="row">
        {letter.packet && (
          <Button kind="primary" refused={refused ?? wrong} onClick={() => void replay("filter")}>
            {save ? t.repair.saveReplay : t.repair.fromFilter(letter.filter)}
          </Button>
        )}
        <Button kind={letter.packet ? undefined : "primary"} refused={refused} onClick={() => void replay("start")}>
          {t.repair.wholeStart}
        </Button>
        <Button kind="danger" refused={refused} onClick={remove}>
          {t.repair.delete}
        </Button>
      </div>
      <p className="dim">
        {t.repair.noUndoReplay} {(letter.edited || save) && t.repair.forgets}
      </p>
    </section>
  );
}
