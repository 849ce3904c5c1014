"""Keeps the node's time: looks whether the wall clock was set, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from pypes import logs
from pypes.core.nodetime import FILE, NodeTime
from pypes.errors import StoreError

#: Seconds between two looks at the wall clock.
LOOK_S = 1.0
#: Looks between two notes of how far the time has come.
LOOKS_PER_BEAT = 60


class ClockKeeper:
    """The supervisor's hand on the file of the node's time. ``on_jump()`` is called when the wall clock was set.

    Raises :class:`StoreError` if the file cannot be made.
    """

    def __init__(self, data_dir: Path, on_jump: Callable[[], None]) -> None:
        self._on_jump = on_jump
        self._log = logs.get("pypes.clock")
        self._is_failing = False
        path = data_dir / FILE
        try:
            self.time, message = NodeTime.start(path)
        except OSError as error:
            raise StoreError(f"the file of the node's clock cannot be written: {error}", where=str(path)) from error
        if message:
            self._log.warning(message, path=str(path))

    async def run(self) -> None:
        """Look at the wall clock until cancelled."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK_S)
            looks += 1
            self.look(is_beat=looks % LOOKS_PER_BEAT == 0)

    def look(self, *, is_beat: bool = False) -> None:
        """See whether the wall clock was set since the last look; with ``is_beat``, note down how far the time has come."""
        try:
            jump_s = self.time.look()
            if jump_s:
                self._log.warning(
                    "the wall clock was set; ages and receipts follow the node's own time, schedules the new wall clock",
                    seconds=round(jump_s, 3),
                )
                self._on_jump()
            elif is_beat or self.time.is_missing():
                self.time.beat()
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                self._is_failing = True
                self._log.error("the node's time cannot be recorded; trying again", reason=str(error))
