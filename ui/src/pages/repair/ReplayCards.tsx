import { Button } from "../../parts/Button";
import { t } from "../../texts";
import { CRITERIA } from "./letters";
import { dismiss, type Replay, stop, useReplays } from "./replays";

/** Replays that are going on, and the results of those that are over until they are closed. */
export function ReplayCards() {
  return useReplays().map((replay, position) => <Card key={position} replay={replay} />);
}

function Card({ replay }: { readonly replay: Replay }) {
  const { ends, phase } = replay;
  const about = CRITERIA.flatMap((name) => replay.criteria[name] ?? []).join(", ");
  const ended = ends.accepted - ends.pending;
  const most = phase === "waiting" ? Math.max(ends.accepted, 1) : replay.total;
  const isOver = phase === "over";
  return (
    <section className="card replay" aria-label={t.repair.progress}>
      {about && <p className="dim">{about}</p>}
      {!isOver && <progress aria-label={t.repair.progress} max={most} value={phase === "waiting" ? ended : Math.min(replay.went, most)} />}
      <p role="status">{isOver ? result(replay) : phase === "full" ? t.repair.full : phase === "waiting" ? t.repair.waiting(ended, ends.accepted) : t.repair.sending(replay.went, replay.total)}</p>
      {isOver && replay.refused.size > 0 && <p className="wrong">{t.repair.refused(replay.refused.size, [...new Set(replay.refused.values())].slice(0, 3).join("; "))}</p>}
      {replay.error !== undefined && <p className="wrong">{replay.error}</p>}
      {isOver ? <Button onClick={() => dismiss(replay)}>{t.parts.close}</Button> : <Button onClick={() => stop(replay)}>{t.repair.stop}</Button>}
    </section>
  );
}

function result({ went, ends, edits, isStopped }: Replay): string {
  return [isStopped && t.repair.stopped, t.repair.replayed(went), went > 0 && t.repair.ends(ends.published, ends.dropped, ends.failed, ends.pending), edits > 0 && t.repair.edits(edits)]
    .filter(Boolean)
    .join(" ");
}
