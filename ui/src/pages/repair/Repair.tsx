/** Repair: dead letters by their causes, those of a cause or of a search, and one of them. */

import { useEffect } from "react";
import { listen } from "../../api/events";
import { Empty } from "../../parts/Empty";
import { Problem } from "../../parts/Problem";
import { useFetched } from "../../parts/useFetched";
import { address, type Place } from "../../router";
import { t } from "../../texts";
import { Bulk } from "./Bulk";
import { Causes } from "./Causes";
import { touch, useChanges } from "./held";
import { LetterPage } from "./LetterPage";
import { criteriaOf, type Group, listAddress } from "./letters";
import { LetterList } from "./LetterList";
import { ReplayCards } from "./ReplayCards";
import { Search } from "./Search";
import "../../style/packet.css";
import "../../style/repair.css";

/** Seconds of which the causes show how many there were. */
const HISTORY_S = 3600;

export function Repair({ place }: { readonly place: Place }) {
  const id = place.parts[1];
  useEffect(() => listen(["deadletters"], touch), []);
  return id === undefined ? <Overview place={place} /> : <LetterPage key={id} id={id} />;
}

function Overview({ place }: { readonly place: Place }) {
  const criteria = criteriaOf(place);
  const isSearched = Object.keys(criteria).length > 0;
  const { value, error, again } = useFetched<{ groups: readonly Group[] }>(listAddress(criteria, { group: "code", history: HISTORY_S }), 10_000);
  useChanges(again);

  return (
    <div className="page repair">
      <header className="stack">
        <h1>{t.repair.title}</h1>
        <p className="dim">{t.repair.intro}</p>
      </header>
      <ReplayCards />
      <Search criteria={criteria} />
      {error !== undefined && value === undefined && <Problem error={error} onRetry={again} />}
      {error === undefined && value === undefined && <p className="empty">{t.parts.loading}</p>}
      {value?.groups.length === 0 &&
        (isSearched ? (
          <Empty title={t.repair.noMatch}>
            <p>{t.repair.noMatchHelp}</p>
            <a href={address(["repair"])}>{t.repair.showAll}</a>
          </Empty>
        ) : (
          <Empty title={t.repair.none}>
            <p>{t.repair.noneHelp}</p>
          </Empty>
        ))}
      {value !== undefined && value.groups.length > 0 && (
        <>
          <Causes groups={value.groups} />
          <Bulk criteria={criteria} groups={value.groups} />
          {isSearched && <LetterList criteria={criteria} groups={value.groups} page={Math.max(Number(place.params.get("page")) || 1, 1)} />}
        </>
      )}
    </div>
  );
}
