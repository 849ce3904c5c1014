"""A file of tokens, and a clock that the test sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pypes.access.audit import AuditQuery, Line
from pypes.access.issuing import Issuer
from pypes.access.store import TokenStore
from pypes.access.trail import Trail
from pypes.core.databases import connect
from pypes.runtime.graphs.store import ControlStore

START = 1_800_000_000.0


class Clock:
    """Says the time that the test has set."""

    now = START

    def __call__(self) -> float:
        return self.now


def control_file(folder: Path) -> Path:
    """The file of a node that was started once."""
    path = folder / "control.db"
    ControlStore(path).close()
    return path


@contextmanager
def issuing(folder: Path, *, has_configured: bool = True, clock: Clock | None = None, most: int = 10) -> Iterator[Issuer]:
    """What makes and revokes the tokens of a node."""
    with closing(TokenStore(control_file(folder))) as store:
        yield Issuer(store, lambda: has_configured, clock=clock or Clock(), most=most)


def lines_in(folder: Path) -> list[Line]:
    """The lines of the audit log in the file of a node, the oldest first."""
    with closing(connect(folder / "control.db", "ro")) as db:
        return [entry.line for entry in Trail().page(db, AuditQuery(is_newest_first=False), 1_000_000)]
