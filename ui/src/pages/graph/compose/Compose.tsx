/** Editing the draft of a graph. */

import { PanelLeft, Redo2, Rocket, StickyNote, TriangleAlert, Undo2, WandSparkles, Workflow } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useCommands } from "../../../commands/commands";
import { count, difference } from "../../../model/difference";
import { own } from "../../../model/json";
import { byFilter } from "../../../model/problems";
import { canRedo, canUndo } from "../../../model/history";
import { Button } from "../../../parts/Button";
import { Problem } from "../../../parts/Problem";
import { address } from "../../../router";
import { useSession } from "../../../session";
import { t } from "../../../texts";
import { say } from "./words";
import { Canvas } from "../canvas/Canvas";
import type { Badge } from "../canvas/flow";
import type { TabProps } from "../tabs";
import { Launch, type Launched } from "../versions/Launch";
import { withNames } from "../versions/sides";
import { commandsOf, whyNotDeploy } from "./commands";
import { Conflicts } from "./Conflicts";
import { type Asked, Connect } from "./Connect";
import type { DraftState } from "./draft";
import { Discard } from "./Discard";
import { Editing } from "./Editing";
import { Inspector } from "./Inspector";
import { MakeComposite } from "./MakeComposite";
import { Problems } from "./Problems";
import { Shelf } from "./Shelf";
import { type Drafted, useDraft } from "./useDraft";
import { type View, ViewAccess } from "./View";
import "../../../style/compose.css";

const NOTHING: ReadonlySet<string> = new Set();

export function Compose(props: TabProps) {
  const drafted = useDraft(props.name);
  const { state, error, draft } = drafted;
  if (!state) return error === undefined ? <p className="empty">{t.parts.loading}</p> : <Problem error={error} onRetry={draft.reload} />;
  return <Desk {...props} {...drafted} state={state} />;
}

function Saved({ state }: { readonly state: DraftState }) {
  const { saving, counter } = state;
  const [kind, text] =
    "why" in saving
      ? [saving.kind === "waiting" ? "warn" : "bad", t.compose.notSaved(saving.why)]
      : saving.kind === "saving"
        ? ["off", t.compose.saving]
        : counter === null
          ? ["off", state.base ? t.compose.noDraft : t.compose.nothingYet]
          : ["ok", t.compose.saved];
  return (
    <span className={`state saving ${kind}`} role="status" title={text}>
      <span>{text}</span>
    </span>
  );
}

function Desk({ name, place, graph, specs, again, draft, state, refused }: TabProps & Drafted & { readonly state: DraftState }) {
  const view = useRef<View | null>(null);
  const search = useRef<HTMLInputElement>(null);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [open, setOpen] = useState<"discard" | "composite" | null>(null);
  // composites are for all graphs
  const mayNotCompose = useSession().graphs.length ? t.compose.compositesForAll : undefined;
  const [launched, setLaunched] = useState<Launched | null>(null);
  const [areProblemsOpen, setProblemsOpen] = useState(false);
  const [isShelfOpen, setShelfOpen] = useState(false);
  const [areConflictsOpen, setConflictsOpen] = useState(false);
  const { doc, selected, faults, checked, history, conflicts } = state;

  const editing = useMemo(() => new Editing(draft, specs, view, (port, at) => setAsked({ filter: port.filter, port, at })), [draft, specs]);
  const badges = useMemo(
    () =>
      new Map(
        Object.entries(byFilter(doc, faults, checked)).map(([filter, list]): [string, Badge] => [filter, { text: String(list.length), kind: "bad", says: list.map(({ message }) => message).join(" ") }]),
      ),
    [doc, faults, checked],
  );
  const connect = useCallback(() => {
    const [filter] = editing.chosen.filters;
    if (filter !== undefined) setAsked({ filter });
  }, [editing]);
  const lead = useCallback(
    (ids: readonly string[], place?: string) => {
      draft.select(new Set(ids));
      if (ids[0] !== undefined) view.current?.focus(ids[0]);
      // a small window has room for one of both
      if (matchMedia("(max-width: 900px)").matches) setProblemsOpen(false);
      if (place === undefined) return;
      // the form is there once what is chosen is drawn, and the canvas has taken the focus
      setTimeout(() => {
        const keys = place.split(".");
        for (let length = keys.length; length > 0; length--) {
          const field = document.querySelector<HTMLElement>(`.inspector [data-place="${CSS.escape(keys.slice(0, length).join("."))}"]`);
          if (!field) continue;
          const details = field.closest("details");
          if (details) details.open = true;
          return field.focus();
        }
        document.getElementById("filter-name")?.focus();
      }, 60);
    },
    [draft],
  );
  const deploy = useCallback(() => {
    void draft.flush().then((isSaved) => {
      const counter = draft.state?.counter ?? null;
      if (isSaved && counter !== null) setLaunched({ kind: "deploy", counter });
    });
  }, [draft]);
  const isLaunching = launched !== null;
  useEffect(() => (isLaunching ? draft.hold() : undefined), [isLaunching, draft]);
  const changes = useMemo(() => (isLaunching && graph ? count(difference(withNames(graph), doc)) : undefined), [isLaunching, graph, doc]);
  // other pages lead to the filter that is the reason of something
  const wanted = place.params.get("filter");
  useEffect(() => {
    if (wanted !== null && own(draft.state?.doc.nodes ?? {}, wanted)) lead([wanted]);
  }, [wanted, draft, lead]);
  useCommands(
    useMemo(
      () =>
        commandsOf(editing, {
          state,
          refused,
          search: () => {
            setShelfOpen(true);
            search.current?.focus();
          },
          connect,
          openProblems: () => setProblemsOpen((before) => !before),
          openDeploy: deploy,
          openDiscard: () => setOpen("discard"),
          makeComposite: () => setOpen("composite"),
          mayNotCompose,
          rename: () => {
            const input = document.getElementById("filter-name");
            input?.focus();
            if (input instanceof HTMLInputElement) input.select();
          },
        }),
      [editing, state, refused, connect, deploy, mayNotCompose],
    ),
  );

  // what is copied is text, for every program; fields of forms copy what is in them
  useEffect(() => {
    const isField = (event: Event) => event.target instanceof HTMLElement && (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.isContentEditable);
    const isMeant = (event: Event) => !isField(event) && !document.querySelector("dialog[open]") && !getSelection()?.toString();
    const take = (text: string | null, event: ClipboardEvent) => {
      if (text === null || !event.clipboardData) return;
      event.clipboardData.setData("text/plain", text);
      event.preventDefault();
    };
    const onCopy = (event: ClipboardEvent) => isMeant(event) && take(editing.copied(), event);
    const onCut = (event: ClipboardEvent) => isMeant(event) && take(refused === undefined ? editing.cut() : editing.copied(), event);
    const onPaste = (event: ClipboardEvent) => {
      const text = event.clipboardData?.getData("text/plain");
      if (!text || isField(event) || document.querySelector("dialog[open]") || refused !== undefined) return;
      event.preventDefault();
      editing.paste(text);
    };
    document.addEventListener("copy", onCopy);
    document.addEventListener("cut", onCut);
    document.addEventListener("paste", onPaste);
    return () => {
      document.removeEventListener("copy", onCopy);
      document.removeEventListener("cut", onCut);
      document.removeEventListener("paste", onPaste);
    };
  }, [editing, refused]);

  const [back, forth] = [canUndo(history), canRedo(history)];
  return (
    <div className="compose">
      <div className="compose-bar" role="toolbar" aria-label={t.compose.tools}>
        <Button className="narrow-only" icon={<PanelLeft size={16} aria-hidden />} name={t.compose.shelf} aria-expanded={isShelfOpen} onClick={() => setShelfOpen(!isShelfOpen)} />
        <Button name={back ? t.compose.undoOf(say(back)) : t.compose.undo} refused={refused ?? (back ? undefined : t.compose.nothingToUndo)} icon={<Undo2 size={16} aria-hidden />} onClick={draft.undo} />
        <Button name={forth ? t.compose.redoOf(say(forth)) : t.compose.redo} refused={refused ?? (forth ? undefined : t.compose.nothingToRedo)} icon={<Redo2 size={16} aria-hidden />} onClick={draft.redo} />
        <Button name={t.compose.tidy} refused={refused} icon={<WandSparkles size={16} aria-hidden />} onClick={() => editing.tidy()} />
        <Button name={t.compose.addComment} refused={refused} icon={<StickyNote size={16} aria-hidden />} onClick={() => editing.addComment()} />
        <Saved state={state} />
        <span className="end">
          <Button aria-pressed={areProblemsOpen} icon={faults.length ? <TriangleAlert size={16} aria-hidden /> : undefined} className={faults.length ? "wrong" : ""} onClick={() => setProblemsOpen(!areProblemsOpen)}>
            {t.compose.problemCount(faults.length)}
          </Button>
          {state.counter !== null && graph && (
            <a className="button" href={address(["graphs", name, "versions"], { from: "live", to: "draft" })}>
              {t.compose.differences}
            </a>
          )}
          {state.counter !== null && (
            <Button refused={refused} onClick={() => setOpen("discard")}>
              {t.compose.discard}
            </Button>
          )}
          <Button kind="primary" icon={<Rocket size={16} aria-hidden />} refused={whyNotDeploy(state, refused)} onClick={deploy}>
            {t.compose.deploy}
          </Button>
        </span>
      </div>
      {refused !== undefined && <p className="compose-note">{refused}</p>}
      <div className="compose-body">
        <div className={`shelf-place ${isShelfOpen ? "open" : ""}`}>
          <Shelf
            specs={specs}
            refused={refused}
            view={view}
            search={search}
            onAdd={(component) => {
              setShelfOpen(false);
              editing.add(component);
            }}
            onDrop={(component, x, y) => {
              setShelfOpen(false);
              editing.drop(component, x, y);
            }}
          />
        </div>
        <div className="compose-canvas">
          <Canvas graph={doc} specs={specs} selected={selected} onSelect={draft.select} isEditable={refused === undefined} onGesture={editing.gesture} isFitting={editing.isFitting} badges={badges} label={t.compose.canvas(name)}>
            <ViewAccess view={view} />
          </Canvas>
          {Object.keys(doc.nodes).length === 0 && (
            <div className="compose-empty">
              <Workflow size={32} aria-hidden />
              <h2>{t.compose.emptyTitle}</h2>
              <p>{t.compose.emptyHelp}</p>
            </div>
          )}
          {areProblemsOpen && <Problems doc={doc} checked={checked} faults={faults} onLead={lead} onClose={() => setProblemsOpen(false)} />}
        </div>
        <Inspector editing={editing} faults={faults} refused={refused} onConnect={connect} onMake={() => setOpen("composite")} mayNotCompose={mayNotCompose} onClose={() => draft.select(NOTHING)} />
      </div>
      <div role="status">
        {conflicts.length > 0 && !areConflictsOpen && (
          <Button className="conflicts-again" kind="danger" icon={<TriangleAlert size={16} aria-hidden />} onClick={() => setConflictsOpen(true)}>
            {t.compose.conflicts(conflicts.length)}
          </Button>
        )}
      </div>
      {asked && <Connect asked={asked} editing={editing} onClose={() => setAsked(null)} />}
      {conflicts.length > 0 && areConflictsOpen && <Conflicts conflicts={conflicts} onChoose={(conflict, side) => draft.resolve(conflict, side)} onClose={() => setConflictsOpen(false)} />}
      {launched && <Launch name={name} what={launched} live={state.base} changes={changes} onClose={() => setLaunched(null)} onDone={again} />}
      {open === "composite" && <MakeComposite editing={editing} onClose={() => setOpen(null)} />}
      {open === "discard" && <Discard onClose={() => setOpen(null)} onDiscard={() => void draft.discard()} />}
    </div>
  );
}
