/** The versions of a graph: what ran, what runs, what could run, and how they differ. */

import { ArrowLeftRight } from "lucide-react";
import { useCallback, useMemo, useState } from "react";
import { useCommands } from "../../../commands/commands";
import { type Both, both } from "../../../model/both";
import { count } from "../../../model/difference";
import { type GraphDoc, readGraph } from "../../../model/graph";
import { Button } from "../../../parts/Button";
import { Empty } from "../../../parts/Empty";
import { notify } from "../../../parts/Notices";
import { Problem, messageOf } from "../../../parts/Problem";
import { address, go } from "../../../router";
import { useRefusal } from "../../../session";
import { t } from "../../../texts";
import { useDraftAnswer } from "../answers";
import { Canvas } from "../canvas/Canvas";
import type { Badge, Mark } from "../canvas/flow";
import type { TabProps } from "../tabs";
import { Changes } from "./Changes";
import { History, whyNot } from "./History";
import { Shadow } from "./Shadow";
import { lastShadow } from "./shadows";
import { Launch, type Launched } from "./Launch";
import { type Side, nameOf, useHistory, useSide, withNames } from "./sides";
import { takeFile } from "./take";
import "../../../style/packet.css";
import "../../../style/versions.css";

const SIGNS = { added: "+", removed: "−", changed: "~" } as const;
const KINDS = { added: "ok", removed: "bad", changed: "warn" } as const;
const FIRST = 50;
const MOST = 1000;

function badgesOf({ doc, marks }: Both): ReadonlyMap<string, Badge> {
  return new Map([...marks].filter(([id]) => Object.hasOwn(doc.nodes, id)).map(([id, mark]) => [id, { text: SIGNS[mark], kind: KINDS[mark], says: t.versions.marks[mark] }]));
}

function drawnOf({ doc, marks }: Both): ReadonlyMap<string, Mark> {
  return new Map([...marks].map(([id, mark]) => [id, Object.hasOwn(doc.nodes, id) ? { kind: mark } : { kind: mark, says: t.versions.marks[mark] }]));
}

function Picker({ id, label, value, sides, onChange }: { readonly id: string; readonly label: string; readonly value: Side; readonly sides: readonly (readonly [Side, string])[]; readonly onChange: (side: Side) => void }) {
  return (
    <div className="compared-side">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        {sides.map(([side, text]) => (
          <option key={side} value={side}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

export function Versions({ name, place, live, graph, specs, again }: TabProps) {
  const [limit, setLimit] = useState(FIRST);
  const [launched, setLaunched] = useState<Launched | null>(null);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const refused = useRefusal("edit");
  const draft = useDraftAnswer(name);
  const history = useHistory(name, limit);
  const file = live?.file;
  const version = live?.version ?? 0;

  // at first what could be deployed, or else what the last deployment changed
  const before = history.value?.find((each) => each.version < version && each.state !== "failed");
  const wanted = draft.value ? ["live", "draft"] : file?.differs ? ["live", "file"] : before ? [String(before.version), "live"] : ["live", "live"];
  const [from, to] = [place.params.get("from") ?? wanted[0]!, place.params.get("to") ?? wanted[1]!];
  const compare = useCallback((one: Side, other: Side) => go(address(["graphs", name, "versions"], { from: one, to: other }), true), [name]);

  const isKnown = place.params.has("to") || (draft.value !== undefined && (history.value !== undefined || history.error !== undefined));
  const one = useSide(name, from, live, graph, draft);
  const other = useSide(name, to, live, graph, draft);
  const isDraft = from === "draft" || to === "draft";
  const compared = useMemo(() => {
    if (!one.doc || !other.doc) return undefined;
    const [was, is] = isDraft ? [withNames(one.doc), withNames(other.doc)] : [one.doc, other.doc];
    return { was, is, all: both(was, is) };
  }, [one.doc, other.doc, isDraft]);
  const found = isKnown ? compared : undefined;
  const badges = useMemo(() => found && badgesOf(found.all), [found]);
  const marks = useMemo(() => found && drawnOf(found.all), [found]);

  const shadow = place.params.get("shadow");
  const toShadow = useCallback((id: string) => go(address(["graphs", name, "versions"], { shadow: id })), [name]);
  const draftDoc = useMemo(() => (draft.value ? readGraph(draft.value.graph).doc : undefined), [draft.value]);

  const select = useCallback((id: string) => setSelected(new Set([id])), []);
  const deploy = useCallback(() => {
    if (draft.value) setLaunched({ kind: "deploy", counter: draft.value.counter });
  }, [draft.value]);
  const take = useCallback(() => {
    takeFile(name, version, graph)
      .then(() => compare("live", "draft"))
      .catch((error: unknown) => notify({ text: messageOf(error), kind: "bad" }))
      .finally(draft.again);
  }, [name, version, graph, compare, draft.again]);
  useCommands(
    useMemo(
      () => [
        { id: "versions-swap", name: t.versions.swap, run: () => compare(to, from) },
        { id: "versions-shadow", name: t.versions.tryLive, refused: refused ?? (live ? undefined : t.versions.nothingLive), run: () => toShadow(lastShadow(name) ?? "new") },
        { id: "versions-deploy", name: t.versions.deployDraft, refused: refused ?? (draft.value ? whyNot(draft.value) : t.versions.noDraft), run: deploy },
      ],
      [compare, from, to, refused, draft.value, deploy, live, toShadow, name],
    ),
  );

  const sides: (readonly [Side, string])[] = [
    ["live", nameOf("live", version)],
    ...(draft.value || isDraft ? [["draft", nameOf("draft")] as const] : []),
    ...(file || [from, to].includes("file") ? [["file", nameOf("file")] as const] : []),
    ...[...new Set([...(history.value ?? []).map((each) => String(each.version)), ...[from, to].filter((side) => /^\d+$/.test(side))])].map((side) => [side, nameOf(side)] as const),
  ];
  const error = one.error ?? other.error;
  // a rollback leads from what runs to that version
  const back = launched?.kind === "rollback" ? String(launched.version) : undefined;
  return (
    <div className="versions">
      <History
        {...{ name, draft, history, file, from, to, refused }}
        live={version}
        onOlder={limit < MOST && (history.value?.length ?? 0) >= limit ? () => setLimit(MOST) : undefined}
        onCompare={compare}
        onDeploy={deploy}
        onRollback={(number) => {
          compare("live", String(number));
          setLaunched({ kind: "rollback", version: number });
        }}
        onTake={take}
        onShadow={live ? () => toShadow(lastShadow(name) ?? "new") : undefined}
      />
      {shadow !== null && <Shadow name={name} id={shadow} draft={draftDoc} refused={refused} onGo={toShadow} />}
      {shadow === null && (
        <section className="compared" aria-label={t.versions.difference}>
          <header className="row">
            <Picker id="versions-from" label={t.versions.from} value={from} sides={sides} onChange={(side) => compare(side, to)} />
            <Button kind="plain" name={t.versions.swap} icon={<ArrowLeftRight size={16} aria-hidden />} onClick={() => compare(to, from)} />
            <Picker id="versions-to" label={t.versions.to} value={to} sides={sides} onChange={(side) => compare(from, side)} />
            {found && (
              <strong role="status" className="count">
                {t.versions.changeCount(count(found.all.difference))}
              </strong>
            )}
          </header>
          {error !== undefined && <Problem error={error} />}
          {!found && error === undefined && <p className="empty">{t.parts.loading}</p>}
          {found && <Drawn {...{ name, specs, selected, badges, marks }} all={found.all} onSelect={setSelected} />}
          {found && <Changes found={found.all} before={found.was} after={found.is} selected={selected} onSelect={select} />}
        </section>
      )}
      {launched && (
        <Launch
          name={name}
          what={launched}
          live={version}
          changes={found && (back === undefined ? from === "live" && to === "draft" : from === "live" && to === back) ? count(found.all.difference) : undefined}
          onClose={() => setLaunched(null)}
          onDone={() => {
            again();
            draft.again();
            history.again();
            go(address(["graphs", name, "versions"]), true);
          }}
        />
      )}
    </div>
  );
}

interface DrawnProps extends Pick<TabProps, "name" | "specs"> {
  readonly all: Both;
  readonly selected: ReadonlySet<string>;
  readonly onSelect: (next: ReadonlySet<string>) => void;
  readonly badges: ReadonlyMap<string, Badge> | undefined;
  readonly marks: ReadonlyMap<string, Mark> | undefined;
}

function Drawn({ name, specs, all, selected, onSelect, badges, marks }: DrawnProps) {
  if (Object.keys(all.doc.nodes).length === 0) return <Empty title={t.versions.emptyGraph} />;
  return (
    <div className="drawn">
      <Canvas key={keyOf(all.doc)} graph={all.doc} specs={specs} selected={selected} onSelect={onSelect} {...(badges ? { badges } : {})} {...(marks ? { marks } : {})} label={t.versions.canvas(name)} />
    </div>
  );
}

/** Another set of filters is shown anew from its middle. */
const keyOf = (doc: GraphDoc): string => Object.keys(doc.nodes).join(" ");
