"""Crashing: a publisher at work in a process that dies between two of its steps."""

from __future__ import annotations

import os
import select
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Final, NoReturn

from pypes.testing.posts import Post
from pypes.testing.stage import Stage, watch

MOST_S: Final = 10.0

#: Calls of Python that change files: a publisher may die between any two of them, in the middle of its own steps.
_CHANGES: Final = frozenset({"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"})


def dies(stage: Stage, post: Post, steps: int) -> bool:
    """Run a post in a process of its own that is killed after so many steps; False if it ended before.

    Steps are calls of the publisher's methods, and changes of files in these. Then what readers see is compared.
    """

    def work() -> None:
        left = steps

        def on_step(step: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        publisher = stage.make()
        watch(publisher, on_step)
        sys.addaudithook(lambda event, args: on_step(event) if event in _CHANGES else None)
        stage.run(publisher, [post])

    stage.begin(post)
    is_dead = _is_killed(work)
    stage.look(f"after step {steps} of {post} and the end of its process")
    if is_dead:
        stage.lose(post)
    else:
        stage.end(post)
    return is_dead


def _is_killed(work: Callable[[], None]) -> bool:
    """True if a child process that does this is killed; raises ``AssertionError`` if it fails, or does not end."""
    sys.stdout.flush()
    sys.stderr.flush()
    reads, writes = os.pipe()  # closed at the other end when the child has ended
    try:
        with warnings.catch_warnings():
            # other threads of a test may be alive: the child needs nothing that they hold
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            _end_with(work)
        os.close(writes)
        has_ended = bool(select.select([reads], [], [], MOST_S)[0])
        if not has_ended:
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    finally:
        os.close(reads)
    assert has_ended, f"a publisher in a process of its own did not end within {MOST_S} s"
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    assert status == 0, "a publisher failed in a process of its own: see standard error"
    return False


def _end_with(work: Callable[[], None]) -> NoReturn:
    """Do this, and end the process, without what the parent does at its end."""
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(status)
