"""Making: the filters of a pipeline in this process, ready to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pypes.core.limits import Limits
from pypes.observe import Observer, Totals
from pypes.pipeline.building import Given, build
from pypes.pipeline.chain import Step
from pypes.pipeline.flow import ChainFlow, GraphFlow, Settling
from pypes.pipeline.pool_flow import PoolFlow
from pypes.pipeline.ports import Ports
from pypes.pipeline.streaming import StreamFlow, can_stream
from pypes.runtime.local import LocalGraph

#: Batches that may be done and wait for one before them, for each that a pool may have: it goes on while one item takes long.
AHEAD: Final = 4


class Made(NamedTuple):
    """The filters of a pipeline: its functions by name, what runs them, its open outputs, and the counts of its components."""

    steps: Mapping[str, Step]
    flow: ChainFlow | PoolFlow | GraphFlow
    ports: Ports
    totals: Totals


@dataclass(frozen=True)
class FlowMaker:
    """Makes the filters of a pipeline, with the options that its user gave; where copies of it run, it travels there."""

    track: Sequence[str]
    ordered: bool
    limits: Limits | None
    observer: Observer | None
    pools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __call__(self, given: Given, settling: Settling) -> Made:
        """The filters. Raises ``InvalidGraph`` and ``InvalidComponent``."""
        built = build(given, track=self.track, ordered=self.ordered)
        pooled = [node for node in given.nodes.values() if node.pool is not None]
        most_open = AHEAD * max((node.pool.capacity for node in pooled if node.pool is not None), default=0) or 1
        alone: ChainFlow | PoolFlow | None = None
        if built.chain is not None and self.observer is None:
            streams = settling.can_stream and can_stream(built.chain)
            alone = (StreamFlow if streams else ChainFlow)(built.chain, settling)
        elif built.pooled is not None and self.observer is None and not self.pools:
            alone = PoolFlow(built.pooled, settling, most_open=most_open)
        if alone is not None:
            return Made(built.steps, alone, Ports(built.components, [f"{name}.out" for name in built.components]), Totals())
        flow = GraphFlow(
            lambda on_done: LocalGraph(
                built.components,
                built.ends,
                limits=self.limits,
                observer=self.observer,
                pools={**built.pools, **self.pools},
                inherit=given.inherit,
                on_done=on_done,
            ),
            settling,
            stride=0 if given.is_bare else max((node.stride for node in pooled), default=0),
            most_open=most_open,
            is_bare=given.is_bare,
        )
        totals = flow.graph.scheduler.totals if given.is_bare else Totals()
        return Made(built.steps, flow, Ports(built.components, flow.graph.ports.values()), totals)
