/** What the parts beside the canvas ask of it: where things are on it, and to show them. */

import { useReactFlow } from "@xyflow/react";
import { useEffect } from "react";
import type { Place } from "../../../model/graph";

export interface View {
  /** The place on the canvas under a point of the window; null: the point is not on it. */
  placeAt: (x: number, y: number) => Place | null;
  /** The wire under a point of the window, by its key. */
  wireAt: (x: number, y: number) => string | undefined;
  /** The middle of what is seen. */
  middle: () => Place;
  /** Bring into sight, and set the focus there. */
  focus: (id: string) => void;
}

const REACH = 10;

function edgeAt(x: number, y: number): Element | undefined {
  // a wire is thin: what is near it is meant, too
  for (const [dx, dy] of [[0, 0], [0, -REACH], [0, REACH], [-REACH, 0], [REACH, 0]] as const)
    for (const element of document.elementsFromPoint(x + dx, y + dy)) {
      const edge = element.closest(".react-flow__edge");
      if (edge) return edge;
    }
  return undefined;
}

/** How far something has to be moved to lie between two bounds, with a little room. */
function inside(from: number, to: number, low: number, high: number): number {
  if (from < low) return low + REACH - from;
  return to > high ? high - REACH - to : 0;
}

/** Stands within the canvas, and gives those who hold `view` access to it. */
export function ViewAccess({ view }: { readonly view: { current: View | null } }) {
  const flow = useReactFlow();
  useEffect(() => {
    const pane = () => document.querySelector(".compose .react-flow")?.getBoundingClientRect();
    const on = (x: number, y: number): Place => {
      const place = flow.screenToFlowPosition({ x, y });
      return [place.x, place.y];
    };
    view.current = {
      placeAt: (x, y) => {
        const top = document.elementFromPoint(x, y);
        return top?.closest(".compose .react-flow") ? on(x, y) : null;
      },
      wireAt: (x, y) => edgeAt(x, y)?.getAttribute("data-id") ?? undefined,
      middle: () => {
        const box = pane();
        return box ? on(box.x + box.width / 2, box.y + box.height / 2) : [0, 0];
      },
      focus: (id) => {
        // it is drawn once the graph that has it is
        requestAnimationFrame(() =>
          requestAnimationFrame(() => {
            const element = document.querySelector<HTMLElement>(`.compose .react-flow__node[data-id="${CSS.escape(id)}"], .compose .react-flow__edge[data-id="${CSS.escape(id)}"]`);
            const [box, frame] = [element?.getBoundingClientRect(), pane()];
            if (!element || !box || !frame) return;
            element.focus({ preventScroll: true });
            const isAway = box.right < frame.left || box.left > frame.right || box.bottom < frame.top || box.top > frame.bottom;
            const [x, y] = on(box.x + box.width / 2, box.y + box.height / 2);
            if (isAway) return void flow.setCenter(x, y, { zoom: flow.getZoom() });
            // what was just dropped at the edge stays under the pointer
            const [right, down] = [inside(box.left, box.right, frame.left, frame.right), inside(box.top, box.bottom, frame.top, frame.bottom)];
            const view = flow.getViewport();
            if (right !== 0 || down !== 0) void flow.setViewport({ ...view, x: view.x + right, y: view.y + down });
          }),
        );
      },
    };
    return () => {
      view.current = null;
    };
  }, [flow, view]);
  return null;
}
