"""Guard: runs a program in a process group of its own, and kills the group when its owner lets go or is gone.

``python guard.py FD PROGRAM [ARGUMENT…]``: ``FD`` is the reading end of a pipe to which nobody writes. The kernel closes that
with the last breath of the owner, ``kill -9`` included. Exits as the program does, with 128 and the number of a signal that ended
it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from typing import NoReturn

#: Exit codes of a shell for a program that is not there, or is none.
NOT_FOUND, NOT_RUN = 127, 126


def main(lifeline: int, command: list[str]) -> int:
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the owner decides
    pid = os.fork()
    if pid == 0:
        _run(command)
    with suppress(OSError):  # the child has done it already
        os.setpgid(pid, pid)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):  # or whoever reads from the program would never see its end
        os.dup2(nothing, fd)
    poller = select.poll()
    poller.register(lifeline, 0)
    poller.register(woken, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poller.poll()}
        is_over = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if is_over or lifeline in ready:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # also what the program has left behind
            _, status = os.waitpid(pid, 0)
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        os.read(woken, 4096)


def _run(command: list[str]) -> NoReturn:
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
