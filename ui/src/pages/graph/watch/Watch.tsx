/** A graph at work. */

import { useMemo, useState } from "react";
import { Empty } from "../../../parts/Empty";
import { t } from "../../../texts";
import { Canvas } from "../canvas/Canvas";
import type { TabProps } from "../tabs";

export function Watch({ name, graph, specs }: TabProps) {
  const [selected, setSelected] = useState<ReadonlySet<string>>(useMemo(() => new Set<string>(), []));
  if (!graph) return <Empty title={t.graph.notDeployed} />;
  return <Canvas graph={graph} specs={specs} selected={selected} onSelect={setSelected} label={t.canvas.label(name)} />;
}
