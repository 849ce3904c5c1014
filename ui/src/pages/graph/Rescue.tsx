/** What can be done about a draft that cannot be shown: keep it as a file, and discard it. */

import { useState } from "react";
import { toFile } from "../../model/graph";
import { Button } from "../../parts/Button";
import { useRefusal } from "../../session";
import { t } from "../../texts";
import { draftOf } from "./compose/draft";
import { Discard } from "./compose/Discard";

/** The graph as this page has it, saved or not, as a file of the browser. */
function download(name: string, graph: object): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${JSON.stringify(graph, null, 1)}\n`], { type: "application/json" }));
  link.download = `${name}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
}

export function Rescue({ name, again }: { readonly name: string; readonly again: () => void }) {
  const refused = useRefusal("edit");
  const [isAsking, setAsking] = useState(false);
  const draft = draftOf(name, refused === undefined);
  const { state } = draft;
  if (!state) return null;
  return (
    <>
      <Button onClick={() => download(name, toFile(state.doc, { uids: false }))}>{t.compose.download}</Button>
      <Button refused={refused} onClick={() => setAsking(true)}>
        {t.compose.discard}
      </Button>
      {isAsking && <Discard onClose={() => setAsking(false)} onDiscard={() => void draft.discard().then(again)} />}
    </>
  );
}
