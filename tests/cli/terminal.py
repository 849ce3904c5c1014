"""A pseudo-terminal in which ``pypes top`` runs."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress

from pypes.testing.node import until

#: Runs a command with its standard input as the terminal that controls it.
CONTROLLED = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A pseudo-terminal in which the command runs; ``text`` is all that it has written."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        self.resize(100, 30)
        self.before = termios.tcgetattr(self.slave)
        self.text = ""
        command = [sys.executable, "-m", "pypes", "top", *arguments]
        self.process = subprocess.Popen(
            [sys.executable, "-c", CONTROLLED, *command],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", **environment},
        )

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def read(self) -> str:
        with suppress(BlockingIOError):
            self.text += os.read(self.master, 1 << 16).decode()
        return self.text

    def frame(self) -> list[str]:
        """The lines of the last picture that was written whole."""
        parts = self.read().split("\x1b[H")
        whole = [part for part in parts[1:] if "\x1b[J" in part]
        return [_SEQUENCE.sub("", line) for line in whole[-1].split("\r\n")] if whole else []

    def pictures(self) -> int:
        """How many pictures were written."""
        return self.read().count("\x1b[H")

    def shows(self, text: str) -> None:
        until(lambda: any(text in line for line in self.frame()), 30, f"shown: {text}; there is {self.frame()}")

    def ends(self) -> int:
        """The exit code; the terminal is as it was."""
        until(lambda: (self.read(), self.process.poll() is not None)[1], 30, "ended")
        code = self.process.wait()
        assert self.read().rstrip("\r\n").endswith(LEAVE), self.text[-300:]
        assert "\x1b[?25h" in self.text.rpartition(ENTER)[2]
        assert termios.tcgetattr(self.slave) == self.before
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)
