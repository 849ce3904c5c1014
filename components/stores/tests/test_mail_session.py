"""MailSession and the forms in which servers give what is asked for; tests/servers has a real one."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.errors import ComponentError
from pypes_stores.mail_session import Mail, MailSession


class Client:
    """Answers as imaplib gives those of other servers than the one of the tests."""

    def __init__(self, *lines: Any) -> None:
        self.lines = lines

    def uid(self, *command: str) -> tuple[str, list[Any]]:
        return "OK", [*self.lines]


def mails(*lines: Any) -> list[Mail]:
    client: Any = Client(*lines)
    return MailSession(lambda: client, lambda seconds: True).mails([1, 2, 3], 100)


@pytest.mark.parametrize(
    "lines",
    [
        [(b'4 (UID 2 INTERNALDATE "29-Nov-2026 10:00:00 +0100" BODY[]<0> {2}', b"ab"), b")"],
        # the number comes behind, as do flags that changed meanwhile
        [
            (b'4 (INTERNALDATE "29-Nov-2026 10:00:00 +0100" BODY[]<0> {2}', b"ab"),
            rb" UID 2)",
            rb"4 (UID 2 FLAGS (\Seen))",
            rb"5 (FLAGS (\Seen))",
        ],
        [b'4 (UID 2 INTERNALDATE "29-Nov-2026 10:00:00 +0100" BODY[]<0> "ab")'],
        # an answer about a mail that was not asked for
        [
            (b"9 (UID 9 BODY[]<0> {1}", b"x"),
            b")",
            (b"4 (BODY[]<0> {2}", b"ab"),
            b' UID 2 INTERNALDATE "29-Nov-2026 10:00:00 +0100")',
        ],
    ],
)
def test_a_mail_in_each_form(lines: list[Any]) -> None:
    assert mails(*lines) == [Mail(2, b"ab", "2026-11-29T09:00:00Z")]


def test_an_empty_mail_and_a_time_that_is_none() -> None:
    assert mails(b'1 (UID 1 INTERNALDATE "soon" BODY[] NIL)', b'2 (BODY[]<0> "UID 3 \\" " UID 2)', None) == [
        Mail(1, b"", ""),
        Mail(2, b'UID 3 " ', ""),
    ]


def test_an_answer_that_no_memory_holds_is_told_of() -> None:
    class Endless(Client):
        def uid(self, *command: str) -> tuple[str, list[Any]]:
            return "OK", [bytes(1 << 60)]

    client: Any = Endless()
    client.shutdown = lambda: None
    with pytest.raises(ComponentError, match="longer than what was asked for") as raised:
        MailSession(lambda: client, lambda seconds: True).mails([1], 100)
    assert raised.value.code == "imap.failed"
