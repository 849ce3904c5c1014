"""Forked: a process that does a part of a test, step by step, or dies over it."""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Final, NoReturn

#: Longest time until a process reports, or ends.
MOST_S: Final = 20.0
_REPORT: Final = b"."


class Forked:
    """A child process that calls ``work(self)``, which may report to the parent and wait for it.

    It shares nothing with the parent from then on, and does nothing at its end that is the parent's to do.
    """

    def __init__(self, work: Callable[[Forked], None]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._reads, writes = os.pipe()
        waits, self._tells = os.pipe()
        with warnings.catch_warnings():
            # other threads of a test may be alive: the child needs nothing that they hold
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if not self._pid:
            os.close(self._reads)
            os.close(self._tells)
            self._reads, self._tells = waits, writes
            self._work(work)
        os.close(writes)
        os.close(waits)
        self._has_ended = False

    # -- in the child --------------------------------------------------------------------------------------

    def report(self) -> None:
        """Tell the parent that a step is done."""
        os.write(self._tells, _REPORT)

    def wait_for_parent(self) -> None:
        """Block until the parent has called :meth:`go_on`, or is gone."""
        os.read(self._reads, 1)

    def _work(self, work: Callable[[Forked], None]) -> NoReturn:
        status = 1
        try:
            work(self)
            status = 0
        except BaseException as error:
            os.write(self._tells, "".join(traceback.format_exception_only(error)).encode())
        finally:
            os._exit(status)

    # -- in the parent -------------------------------------------------------------------------------------

    def wait_for_report(self) -> None:
        """Block until the child has reported. Raises ``AssertionError`` if it ended instead, or takes too long."""
        if self._read() != _REPORT:
            self.end()
            raise AssertionError("a process of this test ended without a report")

    def go_on(self) -> None:
        """Have the child go on."""
        os.write(self._tells, b".")

    def end(self) -> bool:
        """Block until the child has ended; True if it was killed. Raises ``AssertionError`` if it failed, or takes too long."""
        said = b""
        while more := self._read():
            said += more
        self._has_ended = True
        status = os.waitpid(self._pid, 0)[1]
        self._close()
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return True
        assert status == 0, f"in a process of this test: {said.lstrip(_REPORT).decode(errors='replace') or status}"
        return False

    def kill(self) -> None:
        """End the child now, if it has not ended."""
        if not self._has_ended:
            self._has_ended = True
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._close()

    def _read(self) -> bytes:
        if not select.select([self._reads], [], [], MOST_S)[0]:
            self.kill()
            raise AssertionError(f"a process of this test did nothing for {MOST_S} s")
        return os.read(self._reads, 4096)

    def _close(self) -> None:
        os.close(self._reads)
        os.close(self._tells)
