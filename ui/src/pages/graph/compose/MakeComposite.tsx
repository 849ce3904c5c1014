/** Asks for the name of a composite, and which parameters of the filters it is made of are given where it is used. */

import { type FormEvent, useId, useState } from "react";
import { renewCatalogue } from "../../../api/catalogue";
import { ask, path } from "../../../api/http";
import { composed, exposable } from "../../../model/composites";
import { isName } from "../../../model/graph";
import { own, said } from "../../../model/json";
import { Button } from "../../../parts/Button";
import { Dialog } from "../../../parts/Dialog";
import { Problem } from "../../../parts/Problem";
import { t } from "../../../texts";
import type { Editing } from "./Editing";

export function MakeComposite({ editing, onClose }: { readonly editing: Editing; readonly onClose: () => void }) {
  const [filters] = useState(() => editing.chosen.filters);
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const id = useId();
  const can = exposable(editing.doc, filters);
  const wrong = !isName(name) ? t.compose.compositeName : own(editing.specs, name) ? t.compose.compositeTaken(name) : undefined;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isBusy || wrong !== undefined) return;
    setBusy(true);
    const made = composed(editing.doc, filters, name, can.filter((each) => chosen.has(each.sets)));
    try {
      await ask("PUT", path("composites", name), { body: made.composite, headers: { "if-none-match": "*" } });
    } catch (problem) {
      setError(problem);
      setBusy(false);
      return;
    }
    renewCatalogue();
    editing.draft.do(said("gesture.makeComposite", { filter: made.filter, count: filters.length }), made.changes);
    editing.draft.select(new Set([made.filter]));
    onClose();
  };
  return (
    <Dialog
      title={t.compose.makeComposite}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t.parts.cancel}</Button>
          <Button kind="primary" type="submit" form={id} refused={wrong}>
            {t.compose.makeIt}
          </Button>
        </>
      }
    >
      <form id={id} className="stack" onSubmit={(event) => void submit(event)}>
        <p>{t.compose.makeCompositeHelp(filters.length)}</p>
        <div className="field">
          <label htmlFor={`${id}-name`}>{t.compose.name}</label>
          <input id={`${id}-name`} type="text" className="mono" value={name} spellCheck={false} onChange={(event) => setName(event.target.value)} />
          {name && wrong && <span className="help wrong">{wrong}</span>}
        </div>
        {can.length > 0 && (
          <fieldset className="field">
            <legend>{t.compose.exposed}</legend>
            {can.map((each) => (
              <label key={each.sets} className="check">
                <input
                  type="checkbox"
                  checked={chosen.has(each.sets)}
                  onChange={(event) => {
                    const next = new Set(chosen);
                    if (event.target.checked) next.add(each.sets);
                    else next.delete(each.sets);
                    setChosen(next);
                  }}
                />
                <code>{each.sets}</code>
              </label>
            ))}
          </fieldset>
        )}
        {error !== undefined && <Problem error={error} />}
      </form>
    </Dialog>
  );
}
