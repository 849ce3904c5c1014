import { useEffect, useRef } from "react";
import { type Choice, Choices } from "../parts/Choices";
import { notify } from "../parts/Notices";
import { t } from "../texts";
import { useAllCommands } from "./commands";

/** All commands with a search: arrows choose, Enter runs, Escape closes. */
export function Palette({ onClose }: { readonly onClose: () => void }) {
  const all = useAllCommands();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const run = ({ refused, run: start }: Choice) => {
    onClose();
    if (refused !== undefined) notify({ text: refused });
    // the focus has gone back by then
    else setTimeout(start);
  };
  return (
    <dialog
      ref={dialog}
      className="palette"
      aria-label={t.commands.title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <Choices search={t.commands.search} label={t.commands.title} none={t.commands.none} choices={all} onTake={run} />
    </dialog>
  );
}
