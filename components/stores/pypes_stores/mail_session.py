"""MailSession: reading of folders over IMAP, by a connection that is made anew when it is lost. It changes nothing there."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from pypes.errors import ComponentError
from pypes_stores.mail_names import folders_of, quoted
from pypes_stores.uid_set import UidSet

_Result = TypeVar("_Result")

#: Seconds between attempts to get a connection that was lost, or that there was none of yet.
WAITS_S: Final = (1.0, 2.0, 4.0, 8.0)
#: A command that ends so many connections one after the other is itself the reason.
BROKEN: Final = 2
#: UIDs that one command looks among: what it finds comes in one line, of which imaplib takes a million bytes.
WINDOW_UIDS: Final = 50_000
_UID: Final = re.compile(rb"\bUID (\d+)")
_SIZE: Final = re.compile(rb"\bRFC822\.SIZE (\d+)")
_RECEIVED: Final = re.compile(rb'\bINTERNALDATE "([^"]*)"')
#: A body of no or few bytes, which need not come as a literal.
_SHORT_BODY: Final = re.compile(rb'BODY\[\](?:<\d+>)? (?:NIL|"((?:[^"\\]|\\.)*)")', re.DOTALL)


class Opened(NamedTuple):
    """A folder as it was when it was opened."""

    spelt: bytes
    validity: int
    #: The next mail will have this UID, or a larger one.
    next_uid: int


class Mail(NamedTuple):
    """The mail of a UID: its first bytes, and when the server got it (ISO 8601, UTC; empty if it does not say)."""

    uid: int
    data: bytes
    received: str


class Breaks(ComponentError):
    """A command ends each connection on which it is sent, such as one for a mail that the server fails to read."""


class MailSession:
    """A connection that reads. ``connect()`` gives one that is logged in; ``wait(seconds)`` is true if there is no more use.

    Raises ``ComponentError``: ``imap.unreachable`` when the connection was lost and could not be had again, ``imap.failed`` for
    what the server refuses, ``imap.changed`` when a folder has other numbers on the new connection.
    """

    def __init__(self, connect: Callable[[], imaplib.IMAP4], wait: Callable[[float], bool]) -> None:
        self._connect = connect
        self._wait = wait
        self._client: Any = None
        self._opened: Opened | None = None

    def close(self) -> None:
        """End the connection; nothing is told if it is lost already."""
        if self._client is not None:
            with suppress(imaplib.IMAP4.error, OSError):
                self._client.logout()
            self._drop()

    def folders(self) -> dict[str, bytes]:
        """The names of the folders that hold mails, and how the server spells each."""
        return self._asked(lambda client: folders_of(_done(client.list())))

    def open(self, spelt: bytes) -> Opened:
        """Read this folder from now on. Mails in it stay as new as they are."""
        self._opened = None
        self._opened = self._asked(lambda client: _examined(client, spelt))
        return self._opened

    def search(self, criteria: str) -> list[int]:
        """The UIDs of the mails in the folder that criteria of IMAP find, in ascending order."""
        assert self._opened is not None
        found: set[int] = set()
        for low in range(1, self._opened.next_uid, WINDOW_UIDS):
            high = min(low + WINDOW_UIDS, self._opened.next_uid) - 1
            for line in self._asked(partial(_searched, f"UID {low}:{high} {criteria}")):
                found.update(map(int, (line or b"").split()))
        return sorted(found)

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """About how many bytes these mails have; those that are gone by now are missing."""
        lines = self._asked(lambda client: _done(client.uid("FETCH", str(UidSet(uids)), "(UID RFC822.SIZE)")))
        found: dict[int, int] = {}
        for head, _ in _answers(lines):
            if (uid := _UID.search(head)) and (size := _SIZE.search(head)):
                found[int(uid[1])] = int(size[1])
        return found

    def mails(self, uids: Sequence[int], most_bytes: int) -> list[Mail]:
        """These mails, up to so many bytes of each; those are missing that are gone by now, or that the server cannot read."""
        what = f"(UID INTERNALDATE BODY.PEEK[]<0.{most_bytes}>)"
        try:
            status, lines = self._asked(lambda client: client.uid("FETCH", str(UidSet(uids)), what))
        except Breaks:
            status, lines = "NO", []
        if status != "OK" and len(uids) > 1:
            # one that is damaged has servers refuse all, or hang up
            return [mail for uid in uids for mail in self.mails([uid], most_bytes)]
        found: dict[int, Mail] = {}
        for head, data in _answers(lines):
            if data is None and (short := _SHORT_BODY.search(head)):
                data = re.sub(rb"\\(.)", rb"\1", short[1] or b"")
                head = head[: short.start()] + head[short.end() :]
            uid = _UID.search(head)
            if uid and data is not None:
                found[int(uid[1])] = Mail(int(uid[1]), data, _received(head))
        return [found[uid] for uid in uids if uid in found]

    def _asked(self, ask: Callable[[Any], _Result]) -> _Result:
        """The answer to a command, repeated on another connection when one is lost: no command changes anything."""
        broken = 0
        for wait_s in (*WAITS_S, None):
            is_connected = False
            try:
                if self._client is None:
                    self._client = self._connect()
                    if self._opened is not None and _examined(self._client, self._opened.spelt)[:2] != self._opened[:2]:
                        raise ComponentError(
                            "a folder was numbered anew while it was read; the next run reads it", code="imap.changed"
                        )
                is_connected = True
                return ask(self._client)
            except (imaplib.IMAP4.abort, OSError) as error:
                self._drop()
                broken += is_connected
                if broken == BROKEN:
                    raise Breaks(f"the mail server hangs up: {error}", code="imap.unreachable") from error
                if wait_s is None or self._wait(wait_s):
                    raise ComponentError(f"the mail server cannot be reached: {error}", code="imap.unreachable") from error
            except MemoryError as error:
                self._drop()
                said = "the mail server's answer does not fit into memory: it is longer than what was asked for"
                raise ComponentError(said, code="imap.failed") from error
            except imaplib.IMAP4.error as error:
                raise ComponentError(f"the mail server refused a command: {error}", code="imap.failed") from error
        raise AssertionError

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError):
                client.shutdown()


def _examined(client: Any, spelt: bytes) -> Opened:
    status, said = client.select(quoted(spelt), readonly=True)
    if status != "OK":
        raise imaplib.IMAP4.error(_text(said))
    validity, next_uid = (client.response(name)[1][0] for name in ("UIDVALIDITY", "UIDNEXT"))
    if validity is None or next_uid is None:
        raise imaplib.IMAP4.error("it tells no UIDVALIDITY or UIDNEXT")
    return Opened(spelt, int(validity), int(next_uid))


def _searched(criteria: str, client: Any) -> list[Any]:
    return _done(client.uid("SEARCH", criteria))


def _done(answer: tuple[str, list[Any]]) -> list[Any]:
    status, lines = answer
    if status != "OK":
        raise imaplib.IMAP4.error(_text(lines))
    return lines


def _text(lines: Sequence[Any]) -> str:
    return b" ".join(line for line in lines if isinstance(line, bytes)).decode("utf-8", "replace")


def _answers(lines: Sequence[Any]) -> Iterator[tuple[bytes, bytes | None]]:
    """Each answer to FETCH as ``imaplib`` gives it: its text, and the literal in it, if any."""
    head, literal = b"", None
    for line in lines:
        if isinstance(line, tuple):
            if head:
                yield head, literal
            head, literal = line
        elif literal is not None:
            # behind a literal
            yield head + b" " + (line or b""), literal
            head, literal = b"", None
        elif line:
            yield line, None
    if head:
        yield head, literal


def _received(head: bytes) -> str:
    found = _RECEIVED.search(head)
    try:
        at = parsedate_to_datetime(found[1].decode("ascii")) if found else None
    except ValueError:
        at = None
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""
