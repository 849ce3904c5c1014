import { BaseEdge, type EdgeProps, getBezierPath } from "@xyflow/react";
import { memo, useEffect, useRef } from "react";
import type { WireEdge } from "./flow";
import { useLive } from "./live";

/** A wire, and what passes on it; failures go on dashed ones. */
export const WireLine = memo(function WireLine({ id, data, sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition }: EdgeProps<WireEdge>) {
  const live = useLive();
  const ref = useRef<SVGGElement>(null);
  const isLive = data?.isLive ?? false;
  useEffect(() => (live && ref.current ? live.addWire(id, ref.current) : undefined), [live, id, isLive]);
  const [path, x, y] = getBezierPath({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition });
  return (
    <g ref={ref} className={data?.isError ? "wire error" : "wire"}>
      <BaseEdge path={path} className="wire-path" interactionWidth={20} />
      {isLive && (
        <>
          <text className="wire-text wire-rate" x={x} y={y} dy={-8} textAnchor="middle" aria-hidden />
          <text className="wire-text wire-depth" x={x} y={y} dy={16} textAnchor="middle" aria-hidden />
        </>
      )}
    </g>
  );
});
