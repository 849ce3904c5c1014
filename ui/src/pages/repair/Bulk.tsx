import { useEffect, useId, useMemo, useState } from "react";
import { useCommands } from "../../commands/commands";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { Problem } from "../../parts/Problem";
import { useRefusal } from "../../session";
import { t } from "../../texts";
import { hold, HELD_S } from "./held";
import { countOf, type Criteria, type Group, groupsOf, untilNow } from "./letters";
import { replayAll } from "./replays";

type Doing = "replay" | "delete";

/** What can be done with all dead letters that match. */
export function Bulk({ criteria, groups }: { readonly criteria: Criteria; readonly groups: readonly Group[] }) {
  const [doing, setDoing] = useState<Doing>();
  const refused = useRefusal("edit");
  useCommands(
    useMemo(
      () => [
        { id: "replay-all", name: t.repair.commandReplay, refused, run: () => setDoing("replay") },
        { id: "delete-all", name: t.repair.commandDelete, refused, run: () => setDoing("delete") },
      ],
      [refused],
    ),
  );
  return (
    <div className="row spread bulk">
      <h2>{t.repair.matching(countOf(groups))}</h2>
      <div className="row">
        <Button kind="primary" refused={refused} onClick={() => setDoing("replay")}>
          {t.repair.replayAll}
        </Button>
        <Button kind="danger" refused={refused} onClick={() => setDoing("delete")}>
          {t.repair.deleteAll}
        </Button>
      </div>
      {doing && <Confirm doing={doing} criteria={criteria} onClose={() => setDoing(undefined)} />}
    </div>
  );
}

/** Shows how many it is about, counted now, before it happens. */
function Confirm({ doing, criteria, onClose }: { readonly doing: Doing; readonly criteria: Criteria; readonly onClose: () => void }) {
  const [groups, setGroups] = useState<readonly Group[]>();
  const [error, setError] = useState<unknown>();
  const [fromStart, setFromStart] = useState(false);
  const id = useId();
  const [counted, setCounted] = useState<Criteria>(criteria);
  useEffect(() => {
    const count = async () => {
      const bounded = await untilNow(criteria);
      setCounted(bounded);
      setGroups(await groupsOf(bounded));
    };
    count().catch(setError);
    // what comes while the dialog is open is not counted
  }, []);
  const count = groups && countOf(groups);

  const confirm = () => {
    if (!count) return;
    if (doing === "delete") hold({ criteria: counted, about: criteria, count });
    else replayAll(counted, count, fromStart ? "start" : undefined);
    onClose();
  };

  return (
    <Dialog
      title={count === undefined ? t.repair.counting : doing === "replay" ? t.repair.replayCount(count) : t.repair.deleteCount(count)}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t.parts.cancel}</Button>
          <Button kind={doing === "replay" ? "primary" : "danger"} refused={count ? undefined : t.repair.counting} onClick={confirm}>
            {doing === "replay" ? t.repair.replayCount(count ?? 0) : t.repair.deleteCount(count ?? 0)}
          </Button>
        </>
      }
    >
      {error !== undefined && <Problem error={error} />}
      {Object.keys(criteria).length === 0 && <p className="warning">{t.repair.askAll}</p>}
      {groups && (
        <ul className="counted">
          {groups.map((group) => (
            <li key={`${group.graph} ${group.filter} ${group.code}`}>
              <strong>{group.count}</strong> {group.code}{" "}
              <span className="dim">
                {group.graph}, {group.filter ? t.repair.inFilter(group.filter) : t.repair.beforeFilters}
              </span>
            </li>
          ))}
        </ul>
      )}
      {doing === "replay" ? (
        <>
          <fieldset className="choices">
            <legend>{t.repair.from}</legend>
            {[false, true].map((isStart) => (
              <div key={String(isStart)}>
                <input type="radio" name={`${id}-from`} id={`${id}-${isStart}`} checked={fromStart === isStart} aria-describedby={`${id}-${isStart}-help`} onChange={() => setFromStart(isStart)} />
                <label htmlFor={`${id}-${isStart}`}>{isStart ? t.repair.fromStart : t.repair.fromAny}</label>
                <p className="dim" id={`${id}-${isStart}-help`}>
                  {isStart ? t.repair.fromStartHelp : t.repair.fromAnyHelp}
                </p>
              </div>
            ))}
          </fieldset>
          <p className="warning">{t.repair.noUndoReplay}</p>
        </>
      ) : (
        <p className="warning">
          {t.repair.deleteHelp(HELD_S)}
        </p>
      )}
    </Dialog>
  );
}
