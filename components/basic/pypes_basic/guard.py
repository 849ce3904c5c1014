"""Guard: runs a program in a process group of its own, and kills the group when its owner lets go or is gone.

``python guard.py FD PROGRAM [ARGUMENT…]``: ``FD`` is a socket whose other end only the owner has. The kernel closes that with the
last breath of the owner, ``kill -9`` included. The exit of the program is told there, in one byte: 128 and the number of a signal
that ended it, as a shell has it.
"""

# PERF: one is started for each run of a program: only modules that an interpreter has loaded anyway, or that are small
from __future__ import annotations

import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

#: Exits of a shell for a program that is not there, or is none.
NOT_FOUND, NOT_RUN = 127, 126
SIGKILL = 9
#: Milliseconds between two looks at the program, where the kernel does not tell when it ends.
LOOK_MS = 10


def main(owner: int, command: list[str]) -> None:
    pid = os.fork()
    if pid == 0:
        _run(command)
    try:  # noqa: SIM105
        os.setpgid(pid, pid)
    except OSError:  # the child has done it already
        pass
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):  # or whoever reads from the program would never see its end
        os.dup2(nothing, fd)
    poller = select.poll()
    poller.register(owner, 0)
    look_ms = -1
    try:
        poller.register(os.pidfd_open(pid), select.POLLIN)
    except (AttributeError, OSError):  # not every kernel has it
        look_ms = LOOK_MS
    while True:
        is_left = owner in [fd for fd, _ in poller.poll(look_ms)]
        if is_left or os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            break
    try:  # noqa: SIM105
        os.killpg(pid, SIGKILL)  # also what the program has left behind
    except OSError:  # nothing is left
        pass
    _, status = os.waitpid(pid, 0)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
    if not is_left:
        os.write(owner, bytes([code]))


def _run(command: list[str]) -> NoReturn:
    try:
        os.setpgid(0, 0)
        os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
    os._exit(0)
