"""The audit log in one SQLite file: a table that only grows, at whose other end the oldest lines go.

A line is written in the transaction of the change that it tells of, to the file in which the change is made. So nothing that can
happen leaves the one without the other. Triggers refuse to change a line, to remove one from the middle, and to put one anywhere
but at the end. Each line has a hash that covers all before it.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pypes.access.audit import ROW_BYTES, AuditQuery, Entry, Kept, Line, Place, hash_of
from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.core.secrets import masked
from pypes.observe.log_line import time_text

#: The number of the file ``control.db`` among those with lines; that of a shard is one more than the shard's.
CONTROL: Final = 0

#: The size of a line, in SQL.
_SIZE: Final = f"length(cast(line as blob)) + {ROW_BYTES}"

#: The part of what the lines may take that goes at a time, so that not every line makes room for itself.
_PART: Final = 20

#: The tables; a semicolon at the end of a line ends a statement. There is no index, as each takes a page in each shard; times go
#: up with numbers. ``audit_gone`` has one row: up to which line all have gone, its hash, and the bytes of those there are. Its
#: number allows lines to be removed, and never goes back.
TRAIL: Final = """
create table if not exists audit (number integer primary key, at integer not null, line text not null, hash blob not null);
create table if not exists audit_gone
  (one integer primary key check (one = 1), number integer not null, hash blob not null, bytes integer not null);
insert or ignore into audit_gone values (1, 0, zeroblob(32), 0);
create trigger if not exists audit_appends before insert on audit
  when new.number is not coalesce((select max(number) from audit), (select number from audit_gone)) + 1
  begin select raise(abort, 'lines of the audit log come after the last one'); end;
create trigger if not exists audit_stays before update on audit
  begin select raise(abort, 'lines of the audit log are not changed'); end;
create trigger if not exists audit_goes before delete on audit when old.number > (select number from audit_gone)
  begin select raise(abort, 'lines of the audit log go from its beginning'); end;
create trigger if not exists audit_gone_once before insert on audit_gone when (select count(*) from audit_gone)
  begin select raise(ignore); end;
create trigger if not exists audit_gone_grows before update on audit_gone when new.number < old.number or new.hash is not
  case new.number when old.number then old.hash else (select hash from audit where number = new.number) end
  begin select raise(abort, 'the audit log does not go back'); end;
create trigger if not exists audit_gone_stays before delete on audit_gone
  begin select raise(abort, 'the audit log does not go back'); end;
"""


class Trail:
    """Writes and reads the lines of one file, the ``source``; all methods block.

    ``written_as`` is the source that the hashes of its lines are made with, if the file came from another node.

    Lines beyond ``most_bytes`` go when others come, the oldest first, but never the newest.
    """

    def __init__(
        self, clock: Clock | None = None, source: int = CONTROL, most_bytes: int | None = None, written_as: int | None = None
    ) -> None:
        self._clock = clock or Clock()
        self._source = source
        self._written_as = source if written_as is None else written_as
        self._most_bytes = Limits().audit_bytes if most_bytes is None else most_bytes

    def write(self, db: sqlite3.Connection, lines: Iterable[Line]) -> None:
        """Append lines, in the transaction that the caller has begun."""
        size = 0
        for line in lines:
            number, at, before = self._last(db)
            place = Place(max(at, int(self._clock.now() * 1000)), self._source, number + 1)
            timed = msgspec.structs.replace(line, time=time_text(self._clock.shown(place.at / 1000)))
            text = msgspec.json.encode(masked(msgspec.to_builtins(timed)))
            digest = hash_of(before, str(place._replace(source=self._written_as)), text)
            db.execute("insert into audit values (?, ?, ?, ?)", (place.number, place.at, text.decode(), digest))
            size += ROW_BYTES + len(text)
        if size:
            db.execute("update audit_gone set bytes = bytes + ?", (size,))
            self._make_room(db)

    def _last(self, db: sqlite3.Connection) -> tuple[int, int, bytes]:
        """Number, time and hash of the last line, be it gone."""
        found = db.execute("select number, at, hash from audit order by number desc limit 1").fetchone()
        return found or db.execute("select number, 0, hash from audit_gone").fetchone()  # type: ignore[no-any-return]

    # -- rotation -----------------------------------------------------------------------------------------

    def _make_room(self, db: sqlite3.Connection) -> None:
        (size,) = db.execute("select bytes from audit_gone").fetchone()
        surplus = size - self._most_bytes
        if surplus <= 0:
            return
        surplus += self._most_bytes // _PART
        upto = 0
        sql = f"select number, {_SIZE} from audit where number < (select max(number) from audit) order by number"
        for number, bytes in db.execute(sql):
            upto, surplus = number, surplus - bytes
            if surplus <= 0:
                break
        if upto:
            self._remove(db, upto)

    def forget(self, db: sqlite3.Connection, before: float) -> int:
        """Remove the lines from before a time of the node, in the caller's transaction; returns how many."""
        # PERF: from the oldest on, the first that stays is found at once; from the newest on, all that stay would be read
        left = "coalesce((select min(number) from audit where at >= ?), 1 << 62)"
        (upto,) = db.execute(f"select max(number) from audit where number < {left}", (int(before * 1000),)).fetchone()
        return 0 if upto is None else self._remove(db, upto)

    def _remove(self, db: sqlite3.Connection, upto: int) -> int:
        (freed,) = db.execute(f"select total({_SIZE}) from audit where number <= ?", (upto,)).fetchone()
        sql = "update audit_gone set (number, hash) = (select number, hash from audit where number = ?), bytes = bytes - ?"
        db.execute(sql, (upto, int(freed)))
        return db.execute("delete from audit where number <= ?", (upto,)).rowcount

    # -- reading ------------------------------------------------------------------------------------------

    def page(self, db: sqlite3.Connection, query: AuditQuery, limit: int) -> list[Entry]:
        """Up to ``limit`` lines that match, in the order that the query asks for."""
        where, values = self._where(query)
        order = "desc" if query.is_newest_first else "asc"
        sql = f"select number, at, line, hash from audit where {where} order by number {order} limit ?"
        rows = db.execute(sql, (*values, limit)).fetchall()
        return [
            Entry(str(Place(at, self._source, number)), msgspec.json.decode(line, type=Line), digest.hex())
            for number, at, line, digest in rows
        ]

    def kept(self, db: sqlite3.Connection) -> Kept:
        """The lines that there should be, by the row of what has gone."""
        sql = "select number, hash, coalesce((select max(number) from audit), number), bytes from audit_gone"
        gone, digest, last, bytes = db.execute(sql).fetchone()
        return Kept(self._source, gone, digest.hex(), last, bytes, self._written_as)

    def _where(self, query: AuditQuery) -> tuple[str, list[Any]]:
        conditions, values = ["true"], list[Any]()
        for name, value in (("graph", query.graph), ("by", query.by)):
            if value:
                conditions.append(f"json_extract(line, '$.{name}') = ?")
                values.append(value)
        if query.operation:
            conditions.append("json_extract(line, '$.operation') glob ?")
            values.append(query.operation)
        if query.since:
            conditions.append("at >= ?")
            values.append(self._first(query.since))
        if query.until:
            conditions.append("at < ?")
            values.append(self._first(query.until))
        if query.after:
            sign = "<" if query.is_newest_first else ">"
            conditions.append(f"at {sign}= ? and (at, ?, number) {sign} (?, ?, ?)")
            last = Place.parse(query.after)
            values += [last.at, self._source, *last]
        return " and ".join(conditions), values

    def _first(self, moment: float) -> int:
        """The first millisecond of the node's time that is not shown as before this moment."""
        # of floats, a part is never exact
        return math.ceil(self._clock.first(moment) * 1000 - 0.01)
