/** Answer: a search in the index that a graph publishes to, with the place of each hit. */

import { Search } from "lucide-react";
import { useId, useMemo, useRef } from "react";
import { useCommands } from "../../commands/commands";
import { Button } from "../../parts/Button";
import { Empty } from "../../parts/Empty";
import { Problem } from "../../parts/Problem";
import { SearchField } from "../../parts/SearchField";
import { useFetched } from "../../parts/useFetched";
import { address, go, type Place } from "../../router";
import { t } from "../../texts";
import { Hits } from "./Hits";
import "../../style/answer.css";

interface Graph {
  readonly name: string;
  readonly indexes?: readonly string[];
}

/** An index that can be asked: that of a graph, or the one of a filter where it has several. */
interface Index {
  readonly graph: string;
  readonly index: string | undefined;
}

function indexesOf(graphs: readonly Graph[]): readonly Index[] {
  return graphs.flatMap(({ name, indexes = [] }) => indexes.map((index) => ({ graph: name, index: indexes.length > 1 ? index : undefined })));
}

export function Answer({ place }: { readonly place: Place }) {
  const { value: graphs, error, again } = useFetched<readonly Graph[]>("graphs");
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useCommands(useMemo(() => [{ id: "ask", name: t.answer.focus, keys: "/", run: () => input.current?.select() }], []));
  const q = place.params.get("q") ?? "";
  const wanted = { graph: place.params.get("graph"), index: place.params.get("index") };
  if (graphs === undefined) return error === undefined ? <p className="empty">{t.parts.loading}</p> : <Problem error={error} onRetry={again} />;

  const indexes = indexesOf(graphs);
  const named = indexes.find((each) => each.graph === wanted.graph && (wanted.index === null || each.index === wanted.index));
  // a graph that has none is asked all the same, so that the node says so
  const chosen: Index | undefined = named ?? (wanted.graph === null ? indexes[0] : { graph: wanted.graph, index: wanted.index ?? undefined });
  const ask = (text: string, at: Index | undefined) => go(address(["answer"], { q: text || undefined, graph: at?.graph, index: at?.index }));
  const keyOf = (each: Index) => JSON.stringify([each.graph, each.index]);
  const shown = chosen && !indexes.includes(chosen) ? [chosen, ...indexes] : indexes;

  return (
    <div className="page answer">
      <header className="stack">
        <h1>{t.answer.title}</h1>
        <p className="dim">{t.answer.intro}</p>
        {chosen && (
          <form
            key={q}
            role="search"
            className="row"
            onSubmit={(event) => {
              event.preventDefault();
              ask(String(new FormData(event.currentTarget).get("q") ?? "").trim(), chosen);
            }}
          >
            <SearchField input={input} label={t.answer.question} sought={q} maxLength={4000} />
            <label className="sr-only" htmlFor={id}>
              {t.answer.index}
            </label>
            <select id={id} value={keyOf(chosen)} onChange={(event) => ask(q, shown.find((each) => keyOf(each) === event.target.value))}>
              {shown.map((each) => (
                <option key={keyOf(each)} value={keyOf(each)}>
                  {each.index === undefined ? each.graph : `${each.graph}, ${each.index}`}
                </option>
              ))}
            </select>
            <Button type="submit" kind="primary" icon={<Search size={16} aria-hidden />}>
              {t.answer.search}
            </Button>
          </form>
        )}
      </header>
      {!chosen ? (
        <Empty title={t.answer.none}>
          <p>{t.answer.noneHelp}</p>
          <a href={address(["graphs"])}>{t.parts.home}</a>
        </Empty>
      ) : q ? (
        <Hits key={keyOf(chosen) + q} q={q} graph={chosen.graph} index={chosen.index} />
      ) : (
        <Empty title={t.answer.ask}>
          <p>{t.answer.askHelp}</p>
        </Empty>
      )}
    </div>
  );
}
