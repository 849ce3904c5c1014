"""Makes an instance of a component to be described, without its constructor, or with one that can do no harm.

Only in the disposable process that describes components: what is set up here is never taken down.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType
from typing import Any, Final

from pypes.component import Component
from pypes.errors import InvalidComponent

#: Longest that a constructor may take, in seconds.
INIT_S: Final = 5.0

#: Names with which a constructor may declare: ports and parameters, and what else a description tells.
DECLARES: Final = frozenset(
    (
        *("add_input", "add_output", "remove_input", "remove_output", "set_port_description", "inputs", "outputs"),
        *("set_parameter", "set_parameters", "Params", "holds", "joins", "isolated", "reconfigure", "fetch", "__metatype__"),
        *("__class__", "__dict__", "setattr", "_inputs", "_outputs", "_parameters"),
    )
)

#: Audit events (https://docs.python.org/3/library/audit_events.html) of what leaves the process; those that end with a dot are
#: many. ``open`` and ``sqlite3.connect`` are looked at more closely.
ACTS: Final = (
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod", "os.chown"),
    *("os.utime", "os.setxattr", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.kill", "subprocess.Popen"),
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"),
    *("shutil.", "ftplib.", "imaplib.", "poplib.", "smtplib.", "urllib.Request", "http.client.connect", "signal.pthread_kill"),
)
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Acted(PermissionError):
    """Refusal of an action with effects outside of the process, which a constructor tried."""


class TookLong(BaseException):
    """A constructor takes too long; no ``Exception``, so that it is not taken for one of its own."""


class Constructor:
    """Makes instances. From the first on that needs its constructor, an audit hook is in the process."""

    def __init__(self) -> None:
        self._is_hooked = False
        self._is_armed = False
        self._acted = ""

    def make(self, cls: type[Component]) -> Component:
        """An instance with the ports, parameters and attributes that the class declares.

        ``__init__`` runs only if it may declare any. Then it must not act, and end within ``INIT_S``: raises
        :class:`InvalidComponent`, and whatever it raises itself.
        """
        if not declares(cls):
            blank: Component = object.__new__(cls)
            Component.__init__(blank)
            return blank
        if not self._is_hooked:
            sys.addaudithook(self._audit)
            self._is_hooked = True
        self._acted, self._is_armed = "", True
        try:
            with _limited(INIT_S):
                return cls()
        except TookLong:
            raise InvalidComponent(
                f"its __init__ took more than {INIT_S:g} s; move what takes long to setup()", where=cls.__name__
            ) from None
        except Exception as error:
            if not self._acted:
                raise
            raise InvalidComponent(
                f"its __init__ acts ({self._acted}), which is not done to find out what it is; move that to setup(), which runs "
                "only where the component is used",
                where=cls.__name__,
            ) from error
        finally:
            self._is_armed = False

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if self._is_armed and (what := _action(event, args)):
            self._acted = self._acted or what
            raise Acted(f"not while components are described: {what}")


def declares(cls: type[Component]) -> bool:
    """True if the constructor of a class may declare something, or if that cannot be known."""
    seen: set[int] = set()
    for base in cls.__mro__:
        if base is Component:
            return False
        own = base.__dict__.get("__init__")
        if base.__dict__.get("__new__") is not None or (own is not None and not isinstance(own, FunctionType)):
            return True
        if own is not None and (_takes_arguments(own) or _mentions(own, cls, seen)):
            return True
    return True


def _takes_arguments(function: FunctionType) -> bool:
    code = function.__code__
    needed = code.co_argcount - len(function.__defaults__ or ())
    return needed > 1 or code.co_kwonlyargcount > len(function.__kwdefaults__ or ())


def _mentions(function: FunctionType, cls: type, seen: set[int]) -> bool:
    """True if the code of a function, or of one that it may call, names a method that declares ports or parameters."""
    if id(function) in seen:
        return False
    seen.add(id(function))
    names = set(_names(function.__code__))
    if names & DECLARES:
        return True
    called = [getattr(cls, name, None) if hasattr(cls, name) else function.__globals__.get(name) for name in names]
    called += [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    found = [each for each in called if isinstance(each, FunctionType) and each.__module__ != Component.__module__]
    return any(_mentions(each, cls, seen) for each in found)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _action(event: str, args: tuple[Any, ...]) -> str:
    """The effect of an audit event outside of the process, in words; empty if it has none."""
    if event == "open":
        path, mode, flags = (*args, None, None, None)[:3]
        is_writing = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITES)
        return f"open {path!r} to write" if is_writing and path != os.devnull else ""
    if event == "sqlite3.connect":
        return f"sqlite3.connect {args[0]!r}" if args and args[0] != ":memory:" else ""
    if event.startswith(ACTS):
        return f"{event} {args[0]!r}" if args and isinstance(args[0], str | bytes | int) else event
    return ""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise :class:`TookLong` in the block after ``seconds``; the alarm that there was goes on afterwards."""

    def end(number: int, frame: FrameType | None) -> None:
        raise TookLong

    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, end)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - began)))
