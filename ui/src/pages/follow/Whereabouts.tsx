import { useCallback, useEffect, useRef, useState } from "react";
import { get, query } from "../../api/http";
import { Button } from "../../parts/Button";
import { Empty } from "../../parts/Empty";
import { Problem } from "../../parts/Problem";
import { ago, moment } from "../../parts/times";
import { address } from "../../router";
import { t } from "../../texts";
import type { Place, Places } from "./receipts";
import { EndOf } from "./StateOf";

interface Search {
  readonly places: readonly Place[];
  readonly deliveries: number;
  readonly since: string | null;
  readonly next: string | null;
}

const NOTHING: Search = { places: [], deliveries: 0, since: null, next: null };

/** All runs of the documents with an id or file name: looked for from the newest receipts back. */
export function Whereabouts({ q }: { readonly q: string }) {
  const [search, setSearch] = useState(NOTHING);
  const [isLooking, setLooking] = useState(true);
  const [error, setError] = useState<unknown>();
  const stop = useRef<AbortController>(undefined);

  const look = useCallback(
    async (before: Search) => {
      const mine = new AbortController();
      stop.current?.abort();
      stop.current = mine;
      setLooking(true);
      setError(undefined);
      let found = before;
      try {
        do {
          const page: Places = await get(`documents${query({ q, after: found.next })}`, { signal: mine.signal });
          found = {
            places: [...found.places, ...page.documents],
            deliveries: found.deliveries + page.searched.deliveries,
            since: page.searched.since,
            next: page.next,
          };
          setSearch(found);
          // on to where something is found, or to the end
        } while (found.next !== null && found.places.length === before.places.length);
      } catch (problem) {
        if (!mine.signal.aborted) setError(problem);
      }
      if (!mine.signal.aborted) setLooking(false);
    },
    [q],
  );
  useEffect(() => {
    void look(NOTHING);
    return () => stop.current?.abort();
  }, [look]);

  const { places, deliveries, since, next } = search;
  return (
    <section className="stack" aria-busy={isLooking}>
      <div role="status" className="stack">
        {isLooking && <p className="dim">{t.follow.looking}</p>}
        {places.length > 0 && <h2>{t.follow.found(places.length)}</h2>}
        {!isLooking && error === undefined && places.length === 0 && (
          <Empty title={t.follow.nothing(q)}>
            <p>{t.follow.nothingHelp}</p>
          </Empty>
        )}
        {deliveries > 0 && <p className="dim">{since === null ? t.follow.searchedAll(deliveries) : t.follow.searched(deliveries, moment(since))}</p>}
      </div>
      {error !== undefined && <Problem error={error} onRetry={() => void look(search)} />}
      {places.length > 0 && (
        <ul className="places">
          {places.map((place) => (
            <li key={`${place.receipt} ${place.index}`}>
              <a href={address(["follow"], { q: place.receipt, index: String(place.index) })}>{place.file ?? place.id ?? t.follow.document(place.index)}</a>
              <span>{place.graph}</span>
              <EndOf document={place} />
              <time className="dim" dateTime={place.received} title={moment(place.received)}>
                {ago(place.received)}
              </time>
            </li>
          ))}
        </ul>
      )}
      {next !== null && !isLooking && (
        <div>
          <Button onClick={() => void look(search)}>{t.follow.further}</Button>
        </div>
      )}
    </section>
  );
}
