"""Origin: the process in which something was made, and that alone can use it."""

from __future__ import annotations

import os

from pypes.errors import ComponentError


class Origin:
    """Made beside threads, processes or sockets. A process that is forked has copies of the objects, but none of what they drive.

    The copies of sockets and semaphores are shared, so that their use there would disturb the first process.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_here(self) -> bool:
        """False in a process that was forked since."""
        return os.getpid() == self._pid

    def check(self, what: str) -> None:
        """Raise ``ComponentError`` (``pipeline.forked``) in a process that was forked since."""
        if not self.is_here:
            raise ComponentError(
                f"{what} was made in another process, of which this one is a fork: make one here", code="pipeline.forked"
            )
