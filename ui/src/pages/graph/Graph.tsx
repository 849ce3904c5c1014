/** One graph: its name and state, and the ways to look at it. */

import { ChevronLeft, MoreHorizontal, Pause, Play } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useCatalogue } from "../../api/catalogue";
import { isListed } from "../../api/drafts";
import { listen } from "../../api/events";
import { ApiError, ask, path } from "../../api/http";
import { useCommands } from "../../commands/commands";
import { readGraph } from "../../model/graph";
import { Boundary } from "../../parts/Boundary";
import { Empty } from "../../parts/Empty";
import { Menu } from "../../parts/Menu";
import { notify } from "../../parts/Notices";
import { Problem, messageOf } from "../../parts/Problem";
import { useFetched } from "../../parts/useFetched";
import { type Place, address, go } from "../../router";
import { useRefusal, useSession } from "../../session";
import { language, t } from "../../texts";
import { Rescue } from "./Rescue";
import { type LiveGraph, stateOf } from "./state";
import { TABS, type Tab } from "./tabs";
import "../../style/graph.css";

/** What happens is told by events at once; this is for what was not told, such as a pause by somebody else. */
const AGAIN_MS = 20_000;
/** While a former version finishes what it has. */
const SOON_MS = 1000;

const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });

export function tabAt({ parts }: Place): Tab | undefined {
  return TABS.find((tab) => tab.name === (parts[2] ?? ""));
}

export const addressOf = (name: string, tab: Tab): string => address(tab.name ? ["graphs", name, tab.name] : ["graphs", name]);

/** Whether such a graph is deployed, undefined until that is known; and to look again. */
function useListed(name: string): readonly [boolean | undefined, () => void] {
  const [isThere, setThere] = useState<boolean>();
  const look = useCallback(() => {
    isListed("graphs", name)
      .then(setThere)
      // what is wrong is said where the graph itself is asked for
      .catch(() => setThere((before) => before ?? true));
  }, [name]);
  useEffect(look, [look]);
  return [isThere, look];
}

export function Graph({ place }: { readonly place: Place }) {
  const name = place.parts[1] ?? "";
  const [isThere, lookAgain] = useListed(name);
  // what is not listed for a token of some graphs may be another one's: then the node says so
  const isLimited = useSession().graphs.length > 0;
  const isAsked = isThere || (isThere === false && isLimited);
  const [isParting, setParting] = useState(false);
  const { value: live, error, again: fetchAgain } = useFetched<LiveGraph>(isAsked ? path("graphs", name) : undefined, isParting ? SOON_MS : AGAIN_MS);
  useEffect(() => setParting(live?.former !== undefined), [live?.former]);
  const again = useCallback(() => {
    lookAgain();
    fetchAgain();
  }, [lookAgain, fetchAgain]);
  const catalogue = useCatalogue();
  const refused = useRefusal("edit");
  const tab = tabAt(place);
  // a page stays while the graph that it deployed is asked for the first time
  const [isKnown, setKnown] = useState(false);
  const isMissing = (isThere === false && !isAsked) || (error instanceof ApiError && error.status === 404);
  if (!isKnown && (live || isMissing)) setKnown(true);

  useEffect(() => listen(["deployment", "breaker", "instance"], again, name), [again, name]);
  // the same graph is the same object, however often it is asked for
  const text = live && JSON.stringify(live.graph);
  const graph = useMemo(() => (text === undefined ? undefined : readGraph(JSON.parse(text)).doc), [text]);

  const isPaused = live?.state === "paused";
  const hold = useMemo(
    () => ({
      name: isPaused ? t.graph.resume : t.graph.pause,
      refused: refused ?? (live ? undefined : t.graph.notDeployed),
      run: () =>
        void ask("POST", path("graphs", name, isPaused ? "resume" : "pause"))
          .then(() => notify({ text: isPaused ? t.graph.isResumed(name) : t.graph.isPaused(name), kind: "ok" }))
          .catch((problem: unknown) => notify({ text: messageOf(problem), kind: "bad" }))
          .finally(again),
    }),
    [isPaused, refused, live, name, again],
  );
  useCommands(
    useMemo(
      () => [...TABS.map((each) => ({ id: `tab-${each.name}`, name: t.graph.openTab(each.label), run: () => go(addressOf(name, each)) })), { id: "hold", ...hold }],
      [name, hold],
    ),
  );

  const state = stateOf(live);
  return (
    <div className="graph">
      <header className="graph-head">
        <a className="button plain icon" href={address(["graphs"])} aria-label={t.parts.home} title={t.parts.home}>
          <ChevronLeft size={16} aria-hidden />
        </a>
        <h1 title={name}>{name}</h1>
        {(live || isMissing) && (
          <span className={`state ${state.kind}`} title={live?.error}>
            {state.text}
          </span>
        )}
        <nav className="tabs" aria-label={t.graph.ways}>
          {TABS.map((each) => (
            <a key={each.name} href={addressOf(name, each)} aria-current={each === tab ? "page" : undefined}>
              {each.label}
            </a>
          ))}
        </nav>
        <div className="end">
          <Menu name={t.graph.menu} icon={<MoreHorizontal size={16} aria-hidden />} items={[{ ...hold, icon: isPaused ? <Play size={16} aria-hidden /> : <Pause size={16} aria-hidden /> }]} />
        </div>
      </header>
      {live?.former?.map(({ version, until }) => (
        <div key={version} className="note warning" role="status">
          {t.graph.former(version, live.version, clock.format(new Date(until)))}
        </div>
      ))}
      <div className="graph-body">
        {!tab ? (
          <Empty title={t.parts.notFound}>
            <a href={address(["graphs", name])}>{name}</a>
          </Empty>
        ) : error !== undefined && !isMissing && !live ? (
          <Problem error={error} onRetry={again} />
        ) : catalogue.error !== undefined && !catalogue.specs ? (
          <Problem error={catalogue.error} onRetry={catalogue.again} />
        ) : !catalogue.specs || !isKnown ? (
          <p className="empty">{t.parts.loading}</p>
        ) : (
          <Boundary key={`${name} ${tab.name}`} offer={(retry) => <Rescue name={name} again={retry} />}>
            <tab.View name={name} place={place} live={live} graph={graph} specs={catalogue.specs} again={again} />
          </Boundary>
        )}
      </div>
    </div>
  );
}
