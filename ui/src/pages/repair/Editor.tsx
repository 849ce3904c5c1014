import { RotateCcw } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useCommands } from "../../commands/commands";
import type { PacketParts } from "../../model/packet";
import { Button } from "../../parts/Button";
import { notify } from "../../parts/Notices";
import { messageOf } from "../../parts/Problem";
import { Tabs } from "../../parts/Tabs";
import { useRefusal } from "../../session";
import { t } from "../../texts";
import { Actions } from "./Actions";
import type { Run } from "./Again";
import { canUndo, Conflict, draftOf, isSame, keepDraft, save, undo } from "./edits";
import { touch } from "./held";
import type { WholeLetter } from "./letters";
import { PacketForm } from "./PacketForm";
import { PacketJson } from "./PacketJson";
import { Differences } from "./Differences";

const NONE: ReadonlySet<string> = new Set();

export interface EditorProps {
  readonly letter: WholeLetter;
  readonly packet: PacketParts;
  /** It was replayed, or is about to be deleted. */
  readonly isOver: boolean;
  readonly onLetter: (letter: WholeLetter) => void;
  readonly onRun: (run: Run) => void;
}

/** The packet of a dead letter as a form and as JSON, what differs from what was posted, and what can be done with it. */
export function Editor({ letter, packet, isOver, onLetter, onRun }: EditorProps) {
  const [draft, setDraft] = useState(() => draftOf(letter.id) ?? packet);
  const [wrong, setWrong] = useState(NONE);
  const [tab, setTab] = useState("form");
  // inputs hold what is typed; they begin anew when the packet is another one
  const [turn, setTurn] = useState(0);
  const [begun, setBegun] = useState<string>();
  const [theirs, setTheirs] = useState<WholeLetter>();
  const mayNot = useRefusal("edit");
  const isChanged = !isSame(draft, packet) || wrong.size > 0;
  const fault = wrong.size > 0 ? [...wrong].join(", ") : undefined;

  const begin = (next: PacketParts) => {
    setDraft(next);
    setWrong(NONE);
    setBegun(undefined);
    setTurn((before) => before + 1);
  };
  const change = (next: PacketParts, nextWrong: ReadonlySet<string>) => {
    setDraft(next);
    setWrong(nextWrong);
    setBegun(undefined);
    keepDraft(letter.id, isSame(next, packet) ? undefined : next);
  };
  const write = (next: PacketParts | undefined, text: string) => {
    if (next) return change(next, NONE);
    setWrong(new Set([t.repair.asJson]));
    setBegun(text);
  };
  const take = (saved: WholeLetter) => {
    setTheirs(undefined);
    onLetter(saved);
    if (saved.packet) begin(saved.packet);
    keepDraft(letter.id, undefined);
    touch();
  };
  const putBack = () =>
    undo(letter.id)
      .then(({ letter: before, stays }) => {
        take(before);
        notify({ text: stays.length ? t.repair.metaStays(stays.join(", ")) : t.repair.undone, ...(stays.length ? { kind: "bad" as const } : {}) });
      })
      .catch((error: unknown) => notify({ text: messageOf(error), kind: "bad" }));
  const saveIt = async (seen = packet, goesOn = false): Promise<boolean> => {
    try {
      take(await save(letter.id, seen, draft));
      if (!goesOn) notify({ text: t.repair.saved, kind: "ok", action: { name: t.parts.undo, run: () => void putBack() } });
      return true;
    } catch (error) {
      if (error instanceof Conflict) setTheirs(error.theirs);
      else notify({ text: messageOf(error), kind: "bad" });
      return false;
    }
  };

  useEffect(() => {
    if (!isChanged) return undefined;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [isChanged]);
  const refused = mayNot ?? (fault === undefined ? (isChanged ? undefined : t.repair.nothingToSave) : t.repair.mend(fault));
  const commands = useMemo(
    () => (isOver ? [] : [{ id: "save", name: t.repair.save, keys: "Mod+S", refused, run: () => void saveIt() }]),
    // it saves what is there now
    [isOver, refused, draft, packet],
  );
  useCommands(commands);

  const isFixed = isOver ? t.repair.goneHelp : mayNot;
  return (
    <>
      <section className="card stack">
        <h2>{t.repair.packet}</h2>
        <Tabs
          label={t.repair.packet}
          chosen={tab}
          onChoose={(next) => {
            setTab(next);
            // a text that is no packet stays until something else is typed; inputs of the form begin anew
            setWrong(begun === undefined ? NONE : new Set([t.repair.asJson]));
          }}
          tabs={[
            { id: "form", name: t.repair.asForm, content: () => <PacketForm key={turn} packet={draft} wrong={wrong} refused={isFixed} onChange={change} /> },
            {
              id: "json",
              name: t.repair.asJson,
              content: () => <PacketJson key={turn} packet={draft} isFixed={isFixed !== undefined} begun={begun} onChange={write} />,
            },
            { id: "differences", name: t.repair.differences, content: () => <Differences letter={letter} packet={draft} /> },
          ]}
        />
        {theirs && (
          <div className="problem" role="alert">
            <p>{t.repair.conflict}</p>
            <div className="row">
              <Button onClick={() => take(theirs)}>{t.repair.takeTheirs}</Button>
              <Button kind="danger" onClick={() => void saveIt(theirs.packet)}>
                {t.repair.saveOver}
              </Button>
            </div>
          </div>
        )}
        {!isOver && (
          <div className="row">
            <Button refused={refused} onClick={() => void saveIt()}>
              {t.repair.save}
            </Button>
            {isChanged && (
              <Button
                kind="plain"
                onClick={() => {
                  begin(packet);
                  keepDraft(letter.id, undefined);
                }}
              >
                {t.repair.discard}
              </Button>
            )}
            {canUndo(letter.id) && !isChanged && (
              <Button kind="plain" icon={<RotateCcw size={16} aria-hidden />} onClick={() => void putBack()}>
                {t.repair.undoEdit}
              </Button>
            )}
            {isChanged && <span className="chip warn">{t.repair.unsaved}</span>}
          </div>
        )}
      </section>
      {!isOver && <Actions letter={letter} onRun={onRun} save={isChanged ? () => saveIt(packet, true) : undefined} wrong={fault && t.repair.mend(fault)} />}
    </>
  );
}
