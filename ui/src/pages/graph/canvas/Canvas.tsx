/** The canvas on which a graph is drawn: to be watched, and where it may be edited. */

import {
  Background,
  MiniMap,
  Panel,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  useStore,
  type AriaLabelConfig,
  type Connection,
  type EdgeChange,
  type FinalConnectionState,
  type NodeChange,
} from "@xyflow/react";
import { Maximize, Minus, Plus } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useCommands } from "../../../commands/commands";
import { type GraphDoc, type Place, type Wire, wireOf } from "../../../model/graph";
import { equal } from "../../../model/json";
import type { Catalogue, Port } from "../../../model/ports";
import { Button } from "../../../parts/Button";
import { familyOf } from "../../../parts/Icon";
import { t } from "../../../texts";
import { CommentCard, FilterCard } from "./FilterCard";
import { type Badges, type CanvasNode, type Marks, type WireEdge, drawingOf, edgesOf, marked, nodesOf } from "./flow";
import { type Items, itemsOf } from "./items";
import { type Live, LiveContext } from "./live";
import { ARROWS, nextFilter } from "./way";
import { WireLine } from "./WireLine";
import "@xyflow/react/dist/base.css";
import "../../../style/canvas.css";

/** What somebody has done on the canvas; the graph changes when its owner does so. Places are by id, see items.ts. */
export type Gesture =
  | { readonly kind: "move"; readonly places: Readonly<Record<string, Place>>; readonly isByKeys: boolean }
  | { readonly kind: "connect"; readonly wire: Wire }
  | { readonly kind: "reconnect"; readonly from: Wire; readonly to: Wire }
  /** A wire was let go where no port is. */
  | { readonly kind: "dangle"; readonly port: Port; readonly at: Place }
  /** A wire was let go at a port that it cannot lead to. */
  | { readonly kind: "refused"; readonly one: Port; readonly other: Port }
  | ({ readonly kind: "remove" } & Items);

export interface CanvasProps {
  readonly graph: GraphDoc;
  readonly specs: Catalogue;
  /** Ids of items.ts. */
  readonly selected: ReadonlySet<string>;
  readonly onSelect: (next: ReadonlySet<string>) => void;
  readonly isEditable?: boolean;
  readonly onGesture?: (gesture: Gesture) => void;
  /** Whether a wire may be; those that may not cannot be drawn. */
  readonly isFitting?: (wire: Wire) => boolean;
  readonly badges?: Badges;
  readonly marks?: Marks;
  /** Given: the canvas shows counters. */
  readonly live?: Live;
  readonly label: string;
  readonly children?: ReactNode;
}

const NODE_TYPES = { filter: FilterCard, comment: CommentCard };
const EDGE_TYPES = { wire: WireLine };
const GRID: [number, number] = [8, 8];
const FIT = { padding: 0.08, maxZoom: 1 };
/** Below this zoom nobody reads what stands at ports and wires. */
const FAR = 0.6;
const LABELS: Partial<AriaLabelConfig> = {
  "node.a11yDescription.default": t.canvas.keysOfFilters,
  "node.a11yDescription.keyboardDisabled": t.canvas.keysOfFilters,
  "node.a11yDescription.ariaLiveMessage": ({ x, y }) => t.canvas.moved(x, y),
  "edge.a11yDescription.default": t.canvas.keysOfWires,
  "minimap.ariaLabel": t.canvas.minimap,
};

const colourOf = (node: CanvasNode): string => (node.type === "filter" ? familyOf(node.data.spec) : "comment");

export function Canvas(props: CanvasProps) {
  return (
    <ReactFlowProvider>
      <LiveContext value={props.live ?? null}>
        <Inner {...props} />
      </LiveContext>
    </ReactFlowProvider>
  );
}

function Inner({ graph, specs, selected, onSelect, isEditable = false, onGesture, isFitting, badges, marks, live, label, children }: CanvasProps) {
  const box = useRef<HTMLDivElement>(null);
  const flow = useReactFlow<CanvasNode, WireEdge>();
  const isLive = live !== undefined;
  const drawing = useMemo(() => drawingOf(graph, specs, isLive), [graph, specs, isLive]);
  const drawn = useMemo(() => marked(nodesOf(graph, specs, drawing, badges, isLive), marks), [graph, specs, drawing, badges, marks, isLive]);
  const [dragged, setDragged] = useState<ReadonlyMap<string, Place>>(new Map());
  const nodes = useMemo(
    () =>
      drawn.map((node): CanvasNode => {
        const place = dragged.get(node.id);
        if (!place && !selected.has(node.id)) return node;
        return { ...node, selected: selected.has(node.id), position: place ? { x: place[0], y: place[1] } : node.position };
      }),
    [drawn, dragged, selected],
  );
  const wires = useMemo(() => marked(edgesOf(graph, isLive), marks), [graph, marks, isLive]);
  const edges = useMemo(() => wires.map((edge) => (selected.has(edge.id) ? { ...edge, selected: true } : edge)), [wires, selected]);
  const [keptNodes, keptEdges] = [useKept(nodes), useKept(edges)];

  // until somebody looks at a part of it, the whole is shown, however large the place is
  const isLooking = useRef(false);
  const [isFitted] = useState(nodes.length > 0);
  const first = useRef(graph);
  useEffect(() => {
    // what somebody works at stays where it is
    if (isEditable && graph !== first.current) isLooking.current = true;
  }, [isEditable, graph]);
  const fit = useCallback(() => {
    isLooking.current = false;
    void flow.fitView(FIT);
  }, [flow]);

  // a click tells of filters and of wires apart, before anything is rendered again
  const chosen = useRef(selected);
  useEffect(() => {
    chosen.current = selected;
  }, [selected]);
  const select = useCallback(
    (changes: readonly { readonly type: string; readonly id?: string; readonly selected?: boolean }[]) => {
      const next = new Set(chosen.current);
      for (const { type, id, selected: isSelected } of changes) {
        if (type !== "select" || id === undefined) continue;
        if (isSelected) next.add(id);
        else next.delete(id);
      }
      if (next.size === chosen.current.size && [...next].every((id) => chosen.current.has(id))) return;
      chosen.current = next;
      onSelect(next);
    },
    [onSelect],
  );
  const onNodesChange = useCallback(
    (changes: NodeChange<CanvasNode>[]) => {
      select(changes as readonly { type: string }[]);
      const moves = changes.flatMap((change) => (change.type === "position" ? [change] : []));
      if (moves.length === 0) return;
      const places = new Map(dragged);
      for (const { id, position } of moves) if (position) places.set(id, [position.x, position.y]);
      if (moves.some((move) => move.dragging)) return setDragged(places);
      // keys move without a drag
      const before = new Map(drawn.map((node) => [node.id, node.position]));
      const moved = [...places].filter(([id, [x, y]]) => before.get(id)?.x !== x || before.get(id)?.y !== y);
      setDragged(new Map());
      if (moved.length) onGesture?.({ kind: "move", places: Object.fromEntries(moved), isByKeys: dragged.size === 0 });
    },
    [select, dragged, drawn, onGesture],
  );
  const onEdgesChange = useCallback((changes: EdgeChange<WireEdge>[]) => select(changes as readonly { type: string }[]), [select]);

  const wireOfConnection = (each: Connection | WireEdge): Wire =>
    wireOf({ filter: each.source, port: each.sourceHandle ?? "" }, { filter: each.target, port: each.targetHandle ?? "" });
  const onConnectEnd = (event: MouseEvent | TouchEvent, { isValid, fromHandle, toHandle, fromNode }: FinalConnectionState) => {
    if (isValid || !fromHandle?.id || !fromNode) return;
    const one: Port = { filter: fromNode.id, port: fromHandle.id, side: fromHandle.type === "source" ? "output" : "input" };
    if (toHandle) {
      if (toHandle.id && (toHandle.id !== one.port || toHandle.nodeId !== one.filter))
        onGesture?.({ kind: "refused", one, other: { filter: toHandle.nodeId, port: toHandle.id, side: toHandle.type === "source" ? "output" : "input" } });
      return;
    }
    const point = "changedTouches" in event ? event.changedTouches[0] : event;
    if (!point) return;
    const { x, y } = flow.screenToFlowPosition({ x: point.clientX, y: point.clientY });
    onGesture?.({ kind: "dangle", port: one, at: [x, y] });
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && selected.size > 0 && !box.current?.querySelector(".react-flow__connection")) {
      // React Flow would take the focus away, too
      onSelect(new Set());
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const arrow = ARROWS[event.key];
    const element = event.target as HTMLElement;
    const name = element.dataset["id"];
    if (!arrow || name === undefined || !element.classList.contains("react-flow__node") || event.ctrlKey || event.metaKey || event.altKey) return;
    // selected ones are moved where they may be
    if (isEditable && selected.has(name)) return;
    const places = new Map(nodes.map((node): [string, Place] => [node.id, [node.position.x, node.position.y]]));
    const next = nextFilter(graph, places, name, arrow);
    if (next !== undefined) box.current?.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(next)}"]`)?.focus();
    event.preventDefault();
    event.stopPropagation();
  };

  useCommands(
    useMemo(
      () => [
        { id: "canvas-fit", name: t.canvas.fit, keys: "F", run: fit },
        { id: "canvas-in", name: t.canvas.zoomIn, keys: "+", run: () => void flow.zoomIn() },
        { id: "canvas-out", name: t.canvas.zoomOut, keys: "-", run: () => void flow.zoomOut() },
      ],
      [flow, fit],
    ),
  );

  return (
    <div className="canvas" ref={box} onKeyDownCapture={onKeyDown}>
      <ReactFlow<CanvasNode, WireEdge>
        aria-label={label}
        nodes={keptNodes}
        edges={keptEdges}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        onNodesChange={onNodesChange}
        onEdgesChange={onEdgesChange}
        nodesDraggable={isEditable}
        nodesConnectable={isEditable}
        edgesReconnectable={isEditable}
        connectOnClick={isEditable}
        deleteKeyCode={isEditable ? ["Delete", "Backspace"] : null}
        onBeforeDelete={async ({ nodes: gone, edges: cut }) => {
          onGesture?.({ kind: "remove", ...itemsOf(graph, [...gone.map((node) => node.id), ...cut.map((edge) => edge.id)]) });
          return false;
        }}
        onConnect={(made) => onGesture?.({ kind: "connect", wire: wireOfConnection(made) })}
        onReconnect={(old, made) => onGesture?.({ kind: "reconnect", from: wireOfConnection(old), to: wireOfConnection(made) })}
        isValidConnection={(made) => isFitting?.(wireOfConnection(made)) ?? true}
        onConnectEnd={onConnectEnd}
        onMove={(event) => {
          if (event !== null) isLooking.current = true;
        }}
        ariaLabelConfig={LABELS}
        snapToGrid
        snapGrid={GRID}
        fitView={isFitted}
        fitViewOptions={FIT}
        minZoom={0.05}
        maxZoom={2}
        proOptions={{ hideAttribution: true }}
      >
        <Background gap={24} />
        <Distance box={box} />
        <Refit isLooking={isLooking} />
        <MiniMap<CanvasNode> pannable zoomable position="bottom-right" nodeClassName={colourOf} />
        <Panel position="bottom-left" className="canvas-tools">
          <Button name={t.canvas.zoomIn} icon={<Plus size={16} aria-hidden />} onClick={() => void flow.zoomIn()} />
          <Button name={t.canvas.zoomOut} icon={<Minus size={16} aria-hidden />} onClick={() => void flow.zoomOut()} />
          <Button name={t.canvas.fit} icon={<Maximize size={16} aria-hidden />} onClick={fit} />
        </Panel>
        {children}
      </ReactFlow>
    </div>
  );
}

/** Shows the whole graph again when the place for it changes, unless somebody looks at a part of it. */
function Refit({ isLooking }: { readonly isLooking: { readonly current: boolean } }) {
  const { fitView, getNodes } = useReactFlow();
  const width = useStore((state) => state.width);
  const height = useStore((state) => state.height);
  useEffect(() => {
    // what is asked of an empty canvas would be done with the first filter that is put there
    if (width > 0 && height > 0 && !isLooking.current && getNodes().length > 0) void fitView(FIT);
  }, [width, height, isLooking, fitView, getNodes]);
  return null;
}

/** The same things as before, as far as nothing about them is new: what is drawn of them stays as it is. */
function useKept<T extends { readonly id: string }>(next: readonly T[]): T[] {
  const before = useRef<ReadonlyMap<string, T>>(new Map());
  return useMemo(() => {
    const kept = next.map((each) => {
      const old = before.current.get(each.id);
      return old && equal(old, each) ? old : each;
    });
    before.current = new Map(kept.map((each) => [each.id, each]));
    return kept;
  }, [next]);
}

/** Says in the document whether the graph is far away: style sheets leave out what nobody could read. */
function Distance({ box }: { readonly box: { readonly current: HTMLDivElement | null } }) {
  const isFar = useStore((state) => state.transform[2] < FAR);
  useEffect(() => {
    if (box.current) box.current.dataset["far"] = isFar ? "yes" : "no";
  }, [box, isFar]);
  return null;
}
