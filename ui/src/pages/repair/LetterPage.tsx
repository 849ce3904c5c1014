import { useCallback, useEffect, useState } from "react";
import { ApiError } from "../../api/http";
import { Empty } from "../../parts/Empty";
import { Problem } from "../../parts/Problem";
import { address } from "../../router";
import { t } from "../../texts";
import { Again, type Run } from "./Again";
import { Editor } from "./Editor";
import { useHeld } from "./held";
import { criteriaOfGroup, letterAt, nameOf, type WholeLetter } from "./letters";
import { Facts, Reason } from "./Reason";
import { Unread } from "./Unread";

/** One dead letter: why it failed, its packet to be mended, and what can be done with it. */
export function LetterPage({ id }: { readonly id: string }) {
  const [letter, setLetter] = useState<WholeLetter>();
  const [error, setError] = useState<unknown>();
  const [run, setRun] = useState<Run>();
  const isHeld = useHeld().some((each) => each.id === id);
  const fetchIt = useCallback(
    (signal?: AbortSignal) => {
      setError(undefined);
      letterAt(id, signal).then(setLetter, (failure: unknown) => {
        if (signal?.aborted) return;
        if (failure instanceof ApiError && failure.code === "deadletters.not_found") setLetter(undefined);
        setError(failure);
      });
    },
    [id],
  );
  useEffect(() => {
    const stop = new AbortController();
    fetchIt(stop.signal);
    return () => stop.abort();
    // once more when it was to be deleted: it may be gone
  }, [fetchIt, isHeld]);

  if (error instanceof ApiError && error.code === "deadletters.not_found" && !letter) return <Gone id={id} />;
  if (error !== undefined && !letter) return <Problem error={error} onRetry={fetchIt} />;
  if (!letter) return <p className="empty">{t.parts.loading}</p>;
  return (
    <div className="page repair letter">
      <header className="stack">
        <a href={address(["repair"], criteriaOfGroup(letter))}>← {t.repair.back}</a>
        <h1>
          {t.repair.letter}: {nameOf(letter, t.repair.documentAt, t.repair.wholeDelivery)}{" "}
          {letter.edited && <span className="chip ok">{t.repair.edited}</span>} {isHeld && <span className="chip warn">{t.repair.deleting}</span>}
        </h1>
      </header>
      {run ? <Again letter={letter} run={run} /> : null}
      <div className="sides">
        <div className="stack main">
          {letter.packet ? (
            <Editor letter={letter} packet={letter.packet} isOver={run !== undefined || isHeld} onLetter={setLetter} onRun={setRun} />
          ) : (
            <Unread letter={letter} isOver={run !== undefined || isHeld} onRun={setRun} />
          )}
        </div>
        <Reason letter={letter} />
        <Facts letter={letter} />
      </div>
    </div>
  );
}

function Gone({ id }: { readonly id: string }) {
  // the id of a letter begins with that of its receipt, of 36 characters
  const receipt = id.slice(0, 36);
  return (
    <Empty title={t.repair.gone}>
      <p>{t.repair.goneHelp}</p>
      <a href={address(["follow"], { q: receipt })}>{t.repair.followReceipt}</a>
      <a href={address(["repair"])}>{t.repair.showAll}</a>
    </Empty>
  );
}
