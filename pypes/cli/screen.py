"""The whole terminal as a picture that is drawn again and again, and as it was before when that ends, however it ends."""

from __future__ import annotations

import os
import select
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self

import click

from pypes.errors import Unavailable

#: Another page of the terminal, without a cursor; and back.
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"


class Screen:
    """A context in which lines are drawn and keys read as they are pressed. Raises :class:`Unavailable` without a terminal."""

    def __init__(self) -> None:
        try:
            import termios
            import tty
        except ImportError:
            raise _none() from None
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
            raise _none()
        # https://no-color.org
        self._shown = click.unstyle if os.environ.get("NO_COLOR") else str
        self._termios, self._tty = termios, tty
        self._keys, self._lines = sys.stdin.fileno(), sys.stdout.fileno()

    def __enter__(self) -> Self:
        self._before = self._termios.tcgetattr(self._keys)
        # what wakes a wait: signals, of which a handler in Python would be told only after it
        self._woken, self._waker = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)
        self._former_waker = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        handlers = {signal.SIGWINCH: _pass, signal.SIGTSTP: self._stop}
        handlers |= {signal.SIGTERM: _end, signal.SIGHUP: _end}
        self._handlers = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        self._enter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_waker)
        os.close(self._woken)
        os.close(self._waker)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        columns, lines = os.get_terminal_size(self._lines)
        # some terminals do not tell
        return columns or 80, lines or 24

    def draw(self, lines: list[str]) -> None:
        """Show these lines and nothing else."""
        # the rest of a line is wiped before it is written: behind a full one that would take its last character
        _write("\x1b[H" + "\n".join(f"\x1b[K{self._shown(line)}" for line in lines) + "\x1b[J")

    def wait(self, seconds: float) -> str | None:
        """A key that is pressed within this time, "" if the terminal changed its size, ``None`` if nothing happened.

        The end of the terminal is the key ``q``.
        """
        ready, _, _ = select.select([self._keys, self._woken], [], [], max(0.0, seconds))
        if self._woken in ready:
            os.read(self._woken, 1 << 12)
        if self._keys in ready:
            return os.read(self._keys, 1 << 10).decode("utf-8", "replace") or "q"
        return "" if ready else None

    def _enter(self) -> None:
        self._tty.setcbreak(self._keys)
        _write(_ENTER)

    def _leave(self) -> None:
        _write(_LEAVE)
        self._termios.tcsetattr(self._keys, self._termios.TCSADRAIN, self._before)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Give the shell its terminal as it was, when Ctrl-Z is pressed."""
        self._leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        # here it stops, and here it goes on
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._stop)
        self._enter()


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _pass(number: int, frame: FrameType | None) -> None:
    """Nothing: that a wait ends is enough."""


def _end(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def _none() -> Unavailable:
    return Unavailable("this is no terminal that can show it; give --once to print the picture once", code="client.no_terminal")
