/** A dialog to choose one of many; Escape leaves. */

import { type Choice, Choices } from "../../../parts/Choices";
import { Dialog } from "../../../parts/Dialog";
import { t } from "../../../texts";

export interface PickerProps {
  readonly title: string;
  readonly search: string;
  readonly none: string;
  readonly choices: readonly Choice[];
  readonly onClose: () => void;
}

export function Picker({ title, search, none, choices, onClose }: PickerProps) {
  const run = (choice: Choice) => {
    onClose();
    // the focus has gone back by then
    setTimeout(choice.run);
  };
  return (
    <Dialog title={title} onClose={onClose} className="picker">
      <Choices search={search} label={t.compose.choices} none={none} choices={choices} onTake={run} />
    </Dialog>
  );
}
