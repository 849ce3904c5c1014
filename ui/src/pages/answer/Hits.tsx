import { useEffect, useState } from "react";
import { ApiError, get, query } from "../../api/http";
import { piecesOf, webAddress } from "../../model/snippet";
import { Button } from "../../parts/Button";
import { Empty } from "../../parts/Empty";
import { Problem } from "../../parts/Problem";
import { address } from "../../router";
import { t } from "../../texts";

interface Citation {
  readonly file?: string;
  readonly within?: readonly string[];
  readonly url?: string;
  readonly page?: number;
  readonly page_end?: number;
  readonly heading?: readonly string[];
}

interface Hit {
  readonly id: string;
  readonly title: string;
  readonly snippet: string;
  readonly document?: string;
  readonly citation?: Citation;
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly others?: readonly Hit[];
}

interface Found {
  readonly hits: readonly Hit[];
  readonly next: string | null;
  readonly notes: readonly string[];
}

/** The hits of a question, a page after the other. */
export function Hits({ q, graph, index }: { readonly q: string; readonly graph: string; readonly index: string | undefined }) {
  const [pages, setPages] = useState<readonly Found[]>([]);
  const [after, setAfter] = useState<string>();
  const [turn, setTurn] = useState(0);
  const [isLooking, setLooking] = useState(true);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const stop = new AbortController();
    setLooking(true);
    setError(undefined);
    get<Found>(`search${query({ q, graph, index, after, any: true, group: true })}`, { signal: stop.signal })
      .then((found) => setPages((before) => [...before, found]))
      .catch((problem: unknown) => !stop.signal.aborted && setError(problem))
      .finally(() => !stop.signal.aborted && setLooking(false));
    return () => stop.abort();
  }, [q, graph, index, after, turn]);

  const hits = pages.flatMap((page) => page.hits);
  const next = pages.at(-1)?.next;
  if (error instanceof ApiError && error.code === "search.no_index")
    return (
      <Empty title={t.answer.noIndex(graph)}>
        <p>{t.answer.noneHelp}</p>
      </Empty>
    );
  return (
    <section className="stack" aria-busy={isLooking}>
      <div role="status">
        {isLooking && <p className="dim">{t.answer.looking}</p>}
        {!isLooking && hits.length > 0 && <h2>{next ? t.answer.first(hits.length) : t.answer.hits(hits.length)}</h2>}
        {!isLooking && error === undefined && hits.length === 0 && (
          <Empty title={t.answer.nothing(q)}>
            <p>{t.answer.nothingHelp}</p>
          </Empty>
        )}
      </div>
      {[...new Set(pages.flatMap((page) => page.notes))].map((note) => (
        <p key={note} className="dim">
          {note}
        </p>
      ))}
      <ol className="hits">
        {hits.map((hit, position) => (
          <li key={`${position} ${hit.id}`} className="card stack">
            <HitView hit={hit} />
            {hit.others && hit.others.length > 0 && (
              <details>
                <summary>{t.answer.others(hit.others.length)}</summary>
                <ol className="hits">
                  {hit.others.map((other) => (
                    <li key={other.id} className="stack">
                      <HitView hit={other} isPart />
                    </li>
                  ))}
                </ol>
              </details>
            )}
          </li>
        ))}
      </ol>
      {error !== undefined && <Problem error={error} onRetry={() => setTurn(turn + 1)} />}
      {next && !isLooking && (
        <div>
          <Button onClick={() => setAfter(next)}>{t.answer.more}</Button>
        </div>
      )}
    </section>
  );
}

function HitView({ hit, isPart = false }: { readonly hit: Hit; readonly isPart?: boolean }) {
  const { citation = {} } = hit;
  const receipt = hit.meta?.["receipt"];
  const pages = citation.page === undefined ? "" : t.answer.pages(citation.page, citation.page_end ?? citation.page);
  const link = webAddress(citation.url ?? "");
  return (
    <>
      {!isPart && <h3>{hit.title || citation.file || hit.document || hit.id}</h3>}
      <p className="snippet">{piecesOf(hit.snippet).map((piece, at) => (piece.isFound ? <mark key={at}>{piece.text}</mark> : piece.text))}</p>
      <ul className="citation dim" aria-label={t.answer.citation}>
        {citation.url && (
          <li>
            {link === undefined ? (
              citation.url
            ) : (
              <a href={link} target="_blank" rel="noreferrer noopener">
                {citation.url}
              </a>
            )}
          </li>
        )}
        {citation.file && <li>{[...(citation.within ?? []), citation.file].join(" › ")}</li>}
        {pages && <li>{pages}</li>}
        {citation.heading && citation.heading.length > 0 && <li>{citation.heading.join(" › ")}</li>}
        {typeof receipt === "string" && (
          <li>
            <a href={address(["follow"], { q: receipt })}>{t.answer.follow}</a>
          </li>
        )}
      </ul>
    </>
  );
}
