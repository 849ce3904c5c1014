import { useEffect, useState } from "react";
import type { PacketParts } from "../../model/packet";
import { DiffView } from "../../parts/DiffView";
import { Problem } from "../../parts/Problem";
import { t } from "../../texts";
import { type Posted, postedAt, type WholeLetter } from "./letters";

/** What differs between what was posted and the packet as it is now. */
export function Differences({ letter, packet }: { readonly letter: WholeLetter; readonly packet: PacketParts }) {
  const [posted, setPosted] = useState<Posted>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const stop = new AbortController();
    postedAt(letter.id, stop.signal).then(setPosted, (failure: unknown) => !stop.signal.aborted && setError(failure));
    return () => stop.abort();
  }, [letter.id]);

  if (error !== undefined) return <Problem error={error} />;
  if (!posted) return <p className="empty">{t.parts.loading}</p>;
  if (!posted.packet)
    return (
      <p>
        {t.repair.notPosted}: {posted.reason}
      </p>
    );
  return (
    <div className="stack">
      {posted.start && <p className="dim">{t.repair.postedAt(posted.start)}</p>}
      <p className="legend">
        <del>{t.repair.posted}</del> <ins>{t.repair.now}</ins>
      </p>
      <section>
        <h3>{t.packet.fields}</h3>
        <DiffView before={posted.packet.fields} after={packet.fields} label={t.packet.fields} />
      </section>
      <section>
        <h3>{t.packet.meta}</h3>
        <DiffView before={posted.packet.meta} after={packet.meta} label={t.packet.meta} />
      </section>
    </div>
  );
}
