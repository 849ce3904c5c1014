import { Button } from "../../../parts/Button";
import { Dialog } from "../../../parts/Dialog";
import { t } from "../../../texts";

/** Asks whether a draft is to be discarded. */
export function Discard({ onClose, onDiscard }: { readonly onClose: () => void; readonly onDiscard: () => void }) {
  return (
    <Dialog
      title={t.compose.discardTitle}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t.parts.cancel}</Button>
          <Button
            kind="danger"
            onClick={() => {
              onClose();
              onDiscard();
            }}
          >
            {t.compose.discard}
          </Button>
        </>
      }
    >
      <p>{t.compose.discardHelp}</p>
    </Dialog>
  );
}
