import { JsonView } from "../../parts/JsonView";
import { LongText } from "../../parts/LongText";
import { exact } from "../../model/exact";
import { t } from "../../texts";
import { Actions } from "./Actions";
import type { Run } from "./Again";
import type { WholeLetter } from "./letters";

/** A dead letter without a packet: what was posted, as far as it is kept. */
export function Unread({ letter, isOver, onRun }: { readonly letter: WholeLetter; readonly isOver: boolean; readonly onRun: (run: Run) => void }) {
  const { delivery } = letter;
  const isMany = letter.failures !== undefined;
  return (
    <>
      <section className="card stack">
        <h2>{t.repair.asPosted}</h2>
        {!isMany && <p className="dim">{t.repair.noPacket}</p>}
        {delivery && <JsonView value={exact({ content_type: delivery.content_type, encoding: delivery.encoding, bytes: delivery.bytes })} label={t.repair.facts} />}
        {delivery?.base64 && <p className="dim">{t.repair.base64}</p>}
        {typeof delivery?.body === "string" ? <LongText text={delivery.body} label={t.repair.asPosted} /> : <p className="dim">{t.repair.noBody}</p>}
      </section>
      {!isOver && <Actions letter={letter} onRun={onRun} />}
    </>
  );
}
