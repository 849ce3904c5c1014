import { useEffect, useState } from "react";
import { get, path } from "../../api/http";
import { Problem } from "../../parts/Problem";
import { address } from "../../router";
import { t } from "../../texts";
import { touch } from "./held";
import { countOf, type Criteria, criteriaOfGroup, groupsOf, type Letter, listAddress, type WholeLetter } from "./letters";

/** A replay of one letter. */
export interface Run {
  readonly receipt: string;
}

interface End {
  readonly published: number;
  readonly dropped: number;
  readonly failed: number;
  readonly pending: number;
}

interface Next {
  readonly left: number;
  readonly id: string | undefined;
}

async function nextOf(criteria: Criteria, but: string): Promise<Next> {
  const { deadletters } = await get<{ deadletters: readonly Letter[] }>(listAddress(criteria, { limit: 2 }));
  return { left: countOf(await groupsOf(criteria)), id: deadletters.find((each) => each.id !== but)?.id };
}

/** What became of a replay, and the next dead letter of the same cause. */
export function Again({ letter, run }: { readonly letter: WholeLetter; readonly run: Run }) {
  const [end, setEnd] = useState<End>();
  const [again, setAgain] = useState<string>();
  const [next, setNext] = useState<Next>();
  const [error, setError] = useState<unknown>();

  useEffect(() => {
    const stop = new AbortController();
    const sent = { signal: stop.signal, isUnasked: true };
    const look = async () => {
      let found: End;
      do {
        found = await get<End>(`${path("receipts", run.receipt)}?wait=10`, sent);
        setEnd(found);
      } while (found.pending > 0);
      if (found.failed) {
        const { documents } = await get<{ documents: readonly { readonly deadletter: string | null }[] }>(`${path("receipts", run.receipt, "documents")}?limit=1000`, sent);
        setAgain(documents.find((each) => each.deadletter !== null)?.deadletter ?? undefined);
      }
      setNext(await nextOf(criteriaOfGroup(letter), letter.id));
      touch();
    };
    look().catch((failure: unknown) => !stop.signal.aborted && setError(failure));
    return () => stop.abort();
  }, [run.receipt, letter]);

  const text = !end ? t.repair.running : end.pending ? t.repair.still : end.failed ? t.repair.failedAgain : end.published ? t.repair.published : t.repair.dropped;
  return (
    <section className={`card stack again ${end?.failed ? "bad" : ""}`}>
      <p role="status" className={`state ${!end || end.pending ? "off" : end.failed ? "bad" : "ok"}`}>
        {text}
      </p>
      {error !== undefined && <Problem error={error} />}
      <div className="row">
        {again !== undefined && <a href={address(["repair", again])}>{t.repair.openNew}</a>}
        <a href={address(["follow"], { q: run.receipt })}>{t.repair.steps}</a>
        {next?.id !== undefined && (
          <a className="button" href={address(["repair", next.id])}>
            {t.repair.next(next.left)}
          </a>
        )}
        {next && next.id === undefined && <span className="dim">{t.repair.allDone}</span>}
      </div>
    </section>
  );
}
