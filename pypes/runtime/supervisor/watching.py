"""Watching the folder of graph files: they are deployed as they change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from watchfiles import awatch

from pypes import logs
from pypes.errors import PypesError
from pypes.graph.composite_files import FOLDER
from pypes.runtime.graphs.files import Stamp, all_stamps_of, is_graph_file

#: A graph file is read when nothing has changed for so long: editors write in several steps.
WATCH_MS = 100
#: Time between two looks for changes that the watcher has not told, in milliseconds.
WATCH_LOOK_MS = 5000
#: Time between two attempts to watch a folder of graphs that is not there yet, or cannot be watched.
WATCH_MISSING_S = 5.0


async def watch(folder: Path, seen: Mapping[str, Stamp], on_change: Callable[[], Awaitable[None]]) -> None:
    """Call ``on_change`` whenever graph files have changed, until cancelled; what it raises is reported, and watching goes on.

    ``seen`` are the files that were read last. What changed before the watcher had begun, or unseen by it, is found by
    looking every few seconds.
    """
    log = logs.get("pypes.supervisor")
    reason = ""
    while True:
        try:
            within = folder / FOLDER
            async for changes in awatch(
                *([folder, within] if within.is_dir() else [folder]),
                watch_filter=is_graph_file,
                recursive=False,
                debounce=WATCH_MS,
                step=WATCH_MS,
                rust_timeout=WATCH_LOOK_MS,
                yield_on_timeout=True,
            ):
                now = all_stamps_of(folder)
                if changes or now != seen:
                    await on_change()
                    # not before: what could not be deployed is tried again
                    seen, reason = now, ""
        except FileNotFoundError:
            pass  # there is no such folder yet; the watcher cannot wait for one
        except (OSError, PypesError) as error:
            if str(error) != reason:
                reason = str(error)
                failed = "deployed" if isinstance(error, PypesError) else "watched"
                log.warning(f"graph files cannot be {failed}; trying again", folder=str(folder), reason=reason)
        await asyncio.sleep(WATCH_MISSING_S)
