"""PostgresSession: a connection to PostgreSQL that is made when it is needed, and the meaning of what the server refuses."""

from __future__ import annotations

from collections.abc import Callable
from logging import LoggerAdapter, getLogger
from typing import Any, Final, TypeVar

from pypes import Harmless, Reject, Unreachable
from pypes.component.harmless import ANY
from pypes.errors import ComponentError
from pypes_basic.timing import RETRY_S

T = TypeVar("T")
log = getLogger(__name__)

#: The addresses that only lead to a server over the network (https://www.postgresql.org/docs/current/libpq-connect.html). Not
#: among them: ``host``, which may be a folder with a socket, and all that name files.
ADDRESSES: Final = Harmless(
    ("postgresql", "postgres"),
    {
        **dict.fromkeys(("user", "password", "application_name", "fallback_application_name", "client_encoding", "options"), ANY),
        **dict.fromkeys(("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"), ANY),
        **dict.fromkeys(("sslmode", "sslnegotiation", "sslsni", "sslcompression", "sslcertmode", "requiressl"), ANY),
        **dict.fromkeys(("ssl_min_protocol_version", "ssl_max_protocol_version", "channel_binding", "require_auth"), ANY),
        **dict.fromkeys(("target_session_attrs", "load_balance_hosts", "tcp_user_timeout", "gssencmode"), ANY),
        "hostaddr": r"[0-9A-Fa-f:.,]+",
        "port": r"[0-9,]*",
        "sslrootcert": "system",
    },
)

#: So often a transaction is begun anew that another instance has got in the way of.
MOST_TRIES: Final = 5

#: Classes of states of SQL (https://www.postgresql.org/docs/current/errcodes-appendix.html).
#: Another transaction was in the way: deadlock, serialization.
AGAIN: Final = ("40001", "40P01", "55P03")
#: The server cannot do it now: resources, an operator, a replica that only reads.
NOT_NOW: Final = ("53", "57", "58", "25006")
#: A table, column or function is not there any more, or is another one.
CHANGED: Final = ("42P01", "42703", "42883", "42P10", "42804")
#: Not allowed, or no such database: an operator has to mend it.
REFUSED: Final = ("28", "3D", "42501")
#: A value does not fit: its type, its length, a constraint of the table.
VALUE: Final = ("22", "23", "54000")


class PostgresSession:
    """One connection at a time to the database of ``url``, for one thread at a time.

    ``prepare`` is called in a transaction of each new connection: it makes and compares tables.
    """

    def __init__(self, url: str, timeout_s: float, prepare: Callable[[Any], None]) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._prepare = prepare
        self._db: Any = None

    def connected(self) -> Any:
        """The connection; a new one, prepared, where there is none. Blocks; raises what psycopg and ``prepare`` raise."""
        if self._db is None:
            db = connect(self._url, self._timeout_s)
            try:
                with db.transaction():
                    self._prepare(db)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def run(self, work: Callable[[Any], T], before: Callable[[Any], None] | None = None) -> T:
        """Do work in a transaction of its own, and what comes ``before`` outside of it. Blocks.

        Raises ``Reject`` (``postgresql.value``) for a value that does not fit, ``Unreachable`` and what psycopg raises without a
        server while the filter is to rest.
        """
        for left in reversed(range(MOST_TRIES)):
            try:
                db = self.connected()
                if before is not None:
                    before(db)
                with db.transaction():
                    return work(db)
            except ComponentError as error:  # a table that does not fit: until somebody mends it
                raise Unreachable(RETRY_S, error.message) from error
            except Exception as error:
                state = getattr(error, "sqlstate", None) or ""
                if self._db is not None and (self._db.closed or state.startswith(CHANGED)):
                    self.close()
                if state.startswith(AGAIN + CHANGED) and left:
                    if state.startswith(CHANGED):
                        log.warning("a table was removed or changed; it is made, or compared, anew", extra={"error": str(error)})
                    continue
                if state.startswith(AGAIN + CHANGED + NOT_NOW + REFUSED):
                    raise Unreachable(RETRY_S, str(error).strip()) from error
                if state.startswith(VALUE):
                    raise Reject(str(error).strip(), "postgresql.value") from error
                raise
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        if self._db is not None:
            self._db.close()
            self._db = None


def connect(url: str, timeout_s: float) -> Any:
    """A connection on which each statement is a transaction, with bounds on the time for it and for each statement. Blocks."""
    import psycopg

    whole_s = max(1, int(timeout_s))
    return psycopg.connect(
        url, autocommit=True, connect_timeout=whole_s, application_name="pypes", options=_options(url, whole_s)
    )


def found_columns(db: Any, table: str) -> dict[str, str]:
    """Columns of a table with their types, none if it is not there."""
    return dict(
        db.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (table,),
        ).fetchall()
    )


def is_outage(error: Exception) -> bool:
    """True if nobody answered, or answered that it cannot be now; false if it was refused."""
    state = getattr(error, "sqlstate", None) or ""
    if state:
        return state.startswith(("08", *NOT_NOW))
    if type(error).__name__ != "OperationalError":
        return isinstance(error, OSError)
    message = str(error)
    passing = ("starting up", "shutting down", "recovery mode", "too many", "remaining connection slots")
    return "FATAL" not in message or any(each in message for each in passing)


def refused(error: Exception, redact: Callable[[str], str]) -> Exception:
    """The error of set-up that says what the server refuses; ``redact`` takes secrets out of its message."""
    if isinstance(error, ComponentError):
        return error
    message = redact(str(error).strip())
    return ComponentError(f"the database refuses: {message}. Mend url, or the rights of its user", code="postgresql.refused")


def wait_or_refuse(error: Exception, redact: Callable[[str], str], log: LoggerAdapter[Any]) -> None:
    """Log an error of set-up that is an outage: documents that come wait. Raises what :func:`refused` says for any other."""
    if not is_outage(error):
        raise refused(error, redact) from error
    log.warning("the database cannot be reached yet", extra={"error": redact(str(error).strip())})


def _options(url: str, timeout_s: int) -> str:
    """Settings of the session, behind those that the address has."""
    from psycopg.conninfo import conninfo_to_dict

    given = conninfo_to_dict(url).get("options") or ""
    return f"{given} -c statement_timeout={timeout_s * 1000}".strip()
