"""The tokens in ``control.db``: written by the supervisor, read by everybody else."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from pypes.access.audit import Line
from pypes.access.budget import Budget
from pypes.access.token import MAX_TOKENS, Token
from pypes.access.trail import Trail
from pypes.core.databases import connect, writing
from pypes.errors import StoreError

#: The table of tokens. Each change of a row has the next number: who knows the tokens reads those with later ones.
TOKENS: Final = """
create table tokens (name text primary key, digest blob not null, scopes text not null, graphs text not null,
    created real not null, author text not null, expires real, revoked real, change integer not null) without rowid;
create index tokens_by_change on tokens (change);
"""

#: Columns that came later: the budget, and a number from 1 on that no two tokens have at a time.
BUDGETS: Final = """
alter table tokens add column budget text not null default '{}';
alter table tokens add column place integer not null default 0;
create temp table ranked (place integer primary key, name text unique);
insert into ranked (name) select name from tokens;
update tokens set place = (select place from ranked where ranked.name = tokens.name);
drop table ranked;
create unique index tokens_by_place on tokens (place);
"""

_COLUMNS: Final = "name, digest, scopes, graphs, created, author, expires, revoked, budget, place"

#: The place of the token that has this name already, else the next one or, once all have been given, one that is free again.
_PLACE: Final = f"""coalesce((select place from tokens where name = ?),
    (select case when max(place) < {MAX_TOKENS} then max(place) + 1 end from tokens),
    (select min(place) + 1 from (select 0 as place union all select place from tokens) as used
        where not exists (select 1 from tokens where tokens.place = used.place + 1)))"""

_PUT: Final = f"""
insert into tokens ({_COLUMNS}, change)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, {_PLACE}, (select coalesce(max(change), 0) + 1 from tokens))
    on conflict (name) do update set {", ".join(f"{name} = excluded.{name}" for name in [*_COLUMNS.split(", ")[1:], "change"])}
"""


class TokenStore:
    """Tokens of a node. Every change is durable when the method returns. Raises :class:`StoreError`.

    With ``is_reader`` nothing is written; several processes may read while one writes. ``trail`` is the audit log of the file: a
    change is committed with its line.
    """

    def __init__(self, path: Path, *, is_reader: bool = False, trail: Trail | None = None) -> None:
        self.path = path
        self._trail = trail or Trail()
        #: Number of the last change that was read.
        self._seen = 0
        self._version = -1
        with self._told("opened"):
            self._db = connect(path, "ro" if is_reader else "rw")
            if not is_reader:
                self._db.execute("pragma synchronous = full")
                if sys.platform == "darwin":
                    self._db.execute("pragma fullfsync = 1")

    def changed(self) -> list[Token]:
        """The tokens that were made or changed since the last call; the first call gives all."""
        with self._told("read"):
            # another connection has written something; asked first, so that what comes meanwhile is seen the next time
            version = self._db.execute("pragma data_version").fetchone()[0]
            if version == self._version:
                return []
            rows = self._db.execute(f"select change, {_COLUMNS} from tokens where change > ?", (self._seen,)).fetchall()
        self._version = version
        self._seen = max((row[0] for row in rows), default=self._seen)
        return [_token(row[1:]) for row in rows]

    def all(self) -> list[Token]:
        """All tokens by name, those that were revoked or have expired included."""
        with self._told("read"):
            return [_token(row) for row in self._db.execute(f"select {_COLUMNS} from tokens order by name")]

    def one(self, name: str) -> Token | None:
        """The token of that name, whatever its state."""
        with self._told("read"):
            row = self._db.execute(f"select {_COLUMNS} from tokens where name = ?", (name,)).fetchone()
        return None if row is None else _token(row)

    def count(self) -> int:
        """The number of all tokens."""
        with self._told("read"):
            return int(self._db.execute("select count(*) from tokens").fetchone()[0])

    def put(self, token: Token, *lines: Line) -> None:
        """Keep a token, instead of the one with its name, and at its place; the own place is not looked at."""
        scopes, graphs, budget = (msgspec.json.encode(part).decode() for part in (token.scopes, token.graphs, token.budget))
        values = (token.name, token.digest, scopes, graphs, token.created, token.author, token.expires, token.revoked, budget)
        with self._told("written, nothing was changed"), writing(self._db):
            self._db.execute(_PUT, (*values, token.name))
            self._trail.write(self._db, lines)

    def forget_ended(self, now: float, told: Callable[[int], Iterable[Line]] = lambda count: ()) -> int:
        """Remove the tokens that were revoked or have expired, and say how many; ``told`` makes the lines of it."""
        with self._told("written, nothing was changed"), writing(self._db):
            # the last change stays: numbers are not used again
            sql = "delete from tokens where (revoked is not null or expires <= ?) and change < (select max(change) from tokens)"
            count = self._db.execute(sql, (now,)).rowcount
            if count:
                self._trail.write(self._db, told(count))
            return count

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path} cannot be {what}: {error}", where=str(self.path)) from error


def _token(row: tuple[Any, ...]) -> Token:
    name, digest, scopes, graphs, created, author, expires, revoked, budget, place = row
    names = [tuple(msgspec.json.decode(text, type=list[str])) for text in (scopes, graphs)]
    return Token(
        name=name,
        digest=digest,
        scopes=names[0],
        graphs=names[1],
        created=created,
        author=author,
        expires=expires,
        revoked=revoked,
        budget=msgspec.json.decode(budget, type=Budget),
        place=place,
    )
