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

#: Exits of a shell for a program that is not there, or is none.
NOT_FOUND, NOT_RUN = 127, 126
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25
#: Milliseconds between two looks at the program, where the kernel does not tell when it ends.
LOOK_MS = 10


def main(owner: int, command: list[str]) -> None:
    os.set_inheritable(owner, False)
    try:
        # an interpreter ignores these signals, and a program would inherit that: `yes` in `yes | head` would fail, not end
        pid = os.posix_spawn(command[0], command, os.environ, setpgroup=0, setsigdef=(SIGPIPE, SIGXFSZ))
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os.write(owner, bytes([NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN]))
        return
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


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
    os._exit(0)
