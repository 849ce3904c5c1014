/** All graphs of the node at a glance: how they are, what they do, what has failed; and the node itself. */

import { Plus, Upload } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { listen } from "../../api/events";
import { ask, path } from "../../api/http";
import { useCommands } from "../../commands/commands";
import { Button } from "../../parts/Button";
import { Empty } from "../../parts/Empty";
import { notify } from "../../parts/Notices";
import { Problem, messageOf } from "../../parts/Problem";
import { useFetched } from "../../parts/useFetched";
import { address } from "../../router";
import { useRefusal } from "../../session";
import { t } from "../../texts";
import { ImportGraph, NewGraph } from "./Begin";
import { type Cause, GraphCard } from "./GraphCard";
import { NodeGlance } from "./NodeGlance";
import { useFlows } from "./rates";
import { Remove } from "./Remove";
import { type Concern, type Listed, type NodeStatus, type Undeployed, usageOf } from "./status";
import "../../style/graphs.css";

const STATUS_MS = 5000;
const CAUSES_MS = 10_000;
/** Of these the cards speak themselves. */
const OWN = new Set(["resting", "failed", "stalled"]);

interface DraftSummary {
  readonly name: string;
  readonly base: number;
}

type Open = { readonly what: "new" | "import" } | { readonly what: "remove"; readonly graph: string };

export function Graphs() {
  const { value: status, error, again } = useFetched<NodeStatus>("status", STATUS_MS);
  const causes = useFetched<{ readonly groups: readonly Cause[] }>("deadletters?group=code", CAUSES_MS);
  const drafts = useFetched<readonly DraftSummary[]>("drafts", CAUSES_MS);
  const flows = useFlows();
  const refused = useRefusal("edit");
  const [open, setOpen] = useState<Open>();
  useEffect(() => listen(["deployment", "breaker", "instance"], again), [again]);

  useCommands(
    useMemo(
      () => [
        { id: "graph-new", name: t.graphs.new, keys: "N", refused, run: () => setOpen({ what: "new" }) },
        { id: "graph-import", name: t.graphs.import, refused, run: () => setOpen({ what: "import" }) },
      ],
      [refused],
    ),
  );

  if (error !== undefined && !status) return <Problem error={error} onRetry={again} />;
  if (!status) return <p className="empty">{t.parts.loading}</p>;

  const hold = ({ name, state }: Listed) =>
    void ask("POST", path("graphs", name, state === "paused" ? "resume" : "pause"))
      .then(() => notify({ text: state === "paused" ? t.graph.isResumed(name) : t.graph.isPaused(name), kind: "ok" }))
      .catch((problem: unknown) => notify({ text: messageOf(problem), kind: "bad" }))
      .finally(again);

  const names = status.graphs.map((graph) => graph.name);
  const withDraft = new Set(drafts.value?.map((draft) => draft.name));
  const only = (drafts.value ?? []).filter((draft) => !names.includes(draft.name));
  const begin = { graphs: names, taken: new Set([...names, ...withDraft]), onClose: () => setOpen(undefined) };
  const buttons = (
    <div className="row">
      <Button kind="primary" icon={<Plus size={16} aria-hidden />} refused={refused} onClick={() => setOpen({ what: "new" })}>
        {t.graphs.new}
      </Button>
      <Button icon={<Upload size={16} aria-hidden />} refused={refused} onClick={() => setOpen({ what: "import" })}>
        {t.graphs.import}
      </Button>
    </div>
  );
  const isEmpty = names.length + only.length + status.undeployed.length === 0;
  return (
    <div className="page graphs">
      <header className="row spread">
        <h1>{t.graphs.title}</h1>
        {!isEmpty && buttons}
      </header>
      <Concerns concerns={status.concerns.filter((each) => !OWN.has(each.kind))} />
      {isEmpty && status.state === "starting" ? (
        <div className="card">
          <Empty title={t.graphs.starting}>
            <p>{t.graphs.startingHelp}</p>
          </Empty>
        </div>
      ) : isEmpty ? (
        <div className="card">
          <Empty title={t.graphs.none}>
            <p>{t.graphs.howToBegin}</p>
            {buttons}
          </Empty>
        </div>
      ) : (
        <ul className="graph-list" aria-label={t.graphs.title}>
          {status.graphs.map((graph) => (
            <GraphCard
              key={graph.name}
              graph={{ ...graph, draft: graph.draft ?? withDraft.has(graph.name) }}
              usage={usageOf(status, graph.name)}
              flow={flows.get(graph.name)}
              causes={causes.value?.groups.filter((cause) => cause.graph === graph.name) ?? []}
              refused={refused}
              onHold={() => hold(graph)}
              onRemove={() => setOpen({ what: "remove", graph: graph.name })}
            />
          ))}
          {status.undeployed.map((each) => (
            <NotDeployed key={each.file} {...each} />
          ))}
          {only.map(({ name }) => (
            <li key={name} className="card graph-card">
              <div className="graph-name">
                <h2>
                  <a href={address(["graphs", name, "compose"])}>{name}</a>
                </h2>
                <span className="state off">{t.graphs.draftOnly}</span>
              </div>
            </li>
          ))}
        </ul>
      )}
      <NodeGlance status={status} />
      {open?.what === "new" && <NewGraph {...begin} />}
      {open?.what === "import" && <ImportGraph {...begin} />}
      {open?.what === "remove" && <Remove name={open.graph} usage={usageOf(status, open.graph)} onClose={begin.onClose} onDone={again} />}
    </div>
  );
}

/** What else needs a look, in the words of the node. */
function Concerns({ concerns }: { readonly concerns: readonly Concern[] }) {
  if (concerns.length === 0) return null;
  return (
    <section aria-label={t.graphs.concerns}>
      <ul className="concerns">
        {concerns.map(({ kind, graph, filter, text }, at) => (
          <li key={`${kind} ${at}`} className="warning">
            {text} {graph && <a href={address(["graphs", graph], { filter: filter || undefined })}>{filter ? t.watch.showFilter(filter) : t.watch.showFilter(graph)}</a>}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A file of the folder of graphs that could not be deployed: it is mended there. */
function NotDeployed({ file, graph, reason }: Undeployed) {
  return (
    <li className="card graph-card">
      <div className="graph-name">
        <h2>{graph || file.split("/").at(-1)}</h2>
        <span className="state bad">{t.graph.failed}</span>
      </div>
      <div className="graph-reasons">
        <div className="problem">
          <p>{t.graphs.fileRefused}</p>
          <pre>{reason}</pre>
          <p>{t.graphs.mendFile(file)}</p>
        </div>
      </div>
    </li>
  );
}
