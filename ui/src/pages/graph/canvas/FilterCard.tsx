import { Handle, type NodeProps, Position } from "@xyflow/react";
import { memo, useEffect, useRef } from "react";
import { own } from "../../../model/json";
import { Icon } from "../../../parts/Icon";
import { t } from "../../../texts";
import type { CommentNode, FilterNode } from "./flow";
import { useLive } from "./live";
import { portKind, rowOf } from "./shape";

interface PortProps {
  readonly filter: string;
  readonly port: string;
  readonly at: number;
  readonly side: "input" | "output";
  readonly help: string | undefined;
  readonly isConnectable: boolean;
}

function Port({ filter, port, at, side, help, isConnectable }: PortProps) {
  const isInput = side === "input";
  const kind = portKind(port);
  return (
    <div className={`port ${side} ${kind}`} style={{ top: rowOf(at) }} title={help}>
      <Handle
        id={port}
        type={isInput ? "target" : "source"}
        position={isInput ? Position.Left : Position.Right}
        isConnectable={isConnectable}
        role="img"
        aria-label={isInput ? t.canvas.input(`${filter}.${port}`) : t.canvas.output(`${filter}.${port}`)}
      />
      <span className="port-name">{port}</span>
    </div>
  );
}

/** A filter: its icon, name, component and ports, and what it does just now. */
export const FilterCard = memo(function FilterCard({ id, data, isConnectable }: NodeProps<FilterNode>) {
  const { filter, spec, card, badge, isLive } = data;
  const live = useLive();
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => (live && ref.current ? live.addFilter(id, ref.current) : undefined), [live, id, isLive]);
  const isUnknown = spec === undefined || !!spec.error;
  return (
    <div ref={ref} className={`filter-card ${isUnknown ? "unknown" : ""}`} title={isUnknown ? (spec?.error ?? t.canvas.unknown(filter.component)) : undefined}>
      <div className="filter-head">
        <Icon spec={spec} />
        <div className="filter-names">
          <div className="filter-name">{id}</div>
          <div className="filter-component">{filter.component}</div>
        </div>
        {badge && (
          <span className={`chip ${badge.kind}`} title={badge.says}>
            {badge.text}
          </span>
        )}
      </div>
      {card.inputs.map((port, at) => (
        <Port key={port} {...{ filter: id, port, at, isConnectable }} side="input" help={own(spec?.inputs ?? {}, port)} />
      ))}
      {card.outputs.map((port, at) => (
        <Port key={port} {...{ filter: id, port, at, isConnectable }} side="output" help={own(spec?.outputs ?? {}, port)} />
      ))}
      {isLive && (
        <div className="filter-foot">
          <span className="live-rate" />
          <span className="live-failures" />
          <span className="live-busy" />
          <span className="live-track">
            <span className="live-bar" />
          </span>
        </div>
      )}
    </div>
  );
});

/** A note on the canvas. */
export const CommentCard = memo(function CommentCard({ data }: NodeProps<CommentNode>) {
  return <div className="comment-card">{data.text}</div>;
});
