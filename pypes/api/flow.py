"""Flow control of one connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl


class Flow(FlowControl):
    """Reads on only while no request waits for the answers before its own, or a single small one, so that a hang-up is seen.

    Else every one of those answers would let in more of a body that nobody takes yet.
    """

    def __init__(self, transport: Any, pipeline: Sequence[tuple[Any, Any]]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        waiting = self._pipeline
        if self.read_paused and (not waiting or (len(waiting) == 1 and len(waiting[0][0].body) <= HIGH_WATER_LIMIT)):
            super().resume_reading()
