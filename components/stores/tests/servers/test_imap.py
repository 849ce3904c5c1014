"""IMAP against a real mail server: mails that are new, moved, gone, large, numbered anew, and connections that break."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes.testing.node import free_port, running, until
from pypes_documents.eml_adapter import EML
from pypes_stores import imap, mail_login, mail_session
from pypes_stores.imap import IMAP
from pypes_stores.mail_login import log_in
from tests.published import receipts
from tests.servers.cutting import cutting
from tests.servers.imap import PASSWORD, MailServer

from ..mailbox import Mailbox

pytestmark = pytest.mark.servers

Pairs = list[tuple[list[Packet], Any]]


@pytest.fixture
def box(mail_server: MailServer, request: pytest.FixtureRequest) -> Iterator[Mailbox]:
    with Mailbox(mail_server, request.node.nodeid) as made:
        yield made


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are made again without a pause."""
    monkeypatch.setattr(mail_session, "WAITS_S", (0.0, 0.0))


class TestIMAP(ComponentSuite):
    component = IMAP

    @pytest.fixture(autouse=True)
    def _mailbox(self, box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
        box.put("x", data=b"Message-ID: <1@example.org>\r\nSubject: Looms\r\n\r\nSee you there.\r\n")
        monkeypatch.setitem(mail_login.PORTS, "tls", box.server.tls_port)
        environ = {"MAIL_HOST": "127.0.0.1", "MAIL_USER": box.user, "MAIL_PASSWORD": PASSWORD, "CERTIFICATES": box.server.ca_file}
        monkeypatch.setattr(type(self), "environ", environ)
        self.box = box

    def make(self) -> IMAP:
        return source(self.box)


def source(box: Mailbox, *, confirmed: bool = False, **params: Any) -> IMAP:
    made = IMAP()
    login = {"host": "127.0.0.1", "user": box.user, "password": PASSWORD}
    made.configure({**login, "port": box.server.tls_port, "ca_file": box.server.ca_file, **params})
    made.is_confirmed = confirmed
    return made


def begun(made: IMAP, cursor: Any = None) -> Iterator[tuple[list[Packet], Any]]:
    made.setup()
    return made.fetch(cursor)


def told(pairs: Pairs) -> list[str]:
    """Subjects, or ids of deletions, with the numbers of folders (``UIDVALIDITY``) left out."""
    packets = [packet for pair, _ in pairs for packet in pair]
    return [f"-{_short(packet.id)}" if packet.is_deletion else _subject(packet) for packet in packets]


def _short(id: str | None) -> str:
    return re.sub(r"/\d{5,}/", "/", id or "")


def _subject(packet: Packet) -> str:
    found = re.search(rb"Subject: (.*)\r\n", packet.get("data", b""))
    return found[1].decode() if found else "?"


def test_mails_that_are_new_or_gone(box: Mailbox) -> None:
    made = source(box)
    assert list(begun(made)) == []
    box.put("a")
    box.put("b")
    ((packets, cursor),) = begun(made)
    assert packets[0].get("data") == b"Message-ID: <a@example.org>\r\nSubject: a\r\n\r\nText of a.\r\n"
    meta = packets[0].get_metas()[0]
    assert (meta["folder"], meta["uid"], meta["mimetype"]) == ("INBOX", 1, "message/rfc822")
    assert (meta["received"], _short(packets[1].id)) == ("2026-11-29T09:00:00Z", "INBOX/2")
    assert list(begun(made, cursor)) == []
    box.put("c")
    box.expunge("1")
    pairs = list(begun(made, cursor))
    assert told(pairs) == ["c", "-INBOX/1"]
    assert pairs[-1][0][0].get_meta("mimetype") == "message/rfc822"
    assert list(begun(made, pairs[-1][1])) == []


def test_mails_are_what_eml_reads(box: Mailbox) -> None:
    box.put("a")
    ((packets, _),) = begun(source(box))
    (read,) = run_component(EML(), packets).packets
    assert (read.get("title"), read.get("text"), read.id) == ("a", "Text of a.", packets[0].id)


def test_the_mailbox_is_only_read(box: Mailbox) -> None:
    box.put("a")
    before = box.flags()
    list(begun(source(box)))
    assert box.flags() == before == rb"1 (FLAGS (\Recent))"


def test_folders_are_chosen_by_name(box: Mailbox) -> None:
    box.create("Work", "Work.2026", "Entw&APw-rfe", "Trash")
    for folder in ("INBOX", "Work", "Work.2026", "Entw&APw-rfe", "Trash"):
        box.put(f"in {folder}", folder)
    pairs = list(begun(source(box, folders=["*"], excluded=["Trash"])))
    assert told(pairs) == ["in Entw&APw-rfe", "in INBOX", "in Work", "in Work.2026"]
    assert pairs[0][0][0].get_meta("folder") == "Entwürfe"
    # what is no longer asked for is gone
    assert told(list(begun(source(box, folders=["Work*"]), pairs[-1][1]))) == ["-Entwürfe/1", "-INBOX/1"]
    with pytest.raises(ComponentError, match=r"has no folder 'Wrok'; there are .*, INBOX, Trash, Work") as raised:
        list(begun(source(box, folders=["Wrok", "INBOX"]), pairs[-1][1]))
    assert raised.value.code == "imap.no_folder"


def test_criteria_choose_mails(box: Mailbox) -> None:
    box.put("a")
    box.put("b")
    pairs = list(begun(source(box, search="SUBJECT a")))
    assert told(pairs) == ["a"]
    assert told(list(begun(source(box, search="SUBJECT b"), pairs[-1][1]))) == ["b", "-INBOX/1"]
    with pytest.raises(ComponentError, match=r"refused a command.*NONSENSE") as raised:
        list(begun(source(box, search="NONSENSE"), pairs[-1][1]))
    assert raised.value.code == "imap.failed"


def test_many_numbers_are_asked_for_in_windows(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_session, "WINDOW_UIDS", 2)
    monkeypatch.setattr(imap, "BATCH_MAILS", 2)
    for name in "abcde":
        box.put(name)
    box.expunge("2")
    pairs = list(begun(source(box)))
    assert told(pairs) == ["a", "c", "d", "e"]
    assert [len(packets) for packets, _ in pairs] == [2, 2]
    assert pairs[-1][1]["mails"][0]["uids"] == "1,3:5"


def test_a_moved_mail_is_another_document_or_the_same(box: Mailbox) -> None:
    box.create("Archive")
    box.put("a")
    box.put("b")
    both: dict[str, Any] = {"folders": ["INBOX", "Archive"]}
    by_place = list(begun(source(box, **both)))[-1][1]
    by_message = list(begun(source(box, **both, id="{message_id}")))[-1][1]
    box.move("1", "Archive")
    assert told(list(begun(source(box, **both), by_place))) == ["a", "-INBOX/1"]
    pairs = list(begun(source(box, **both, id="{message_id}"), by_message))
    assert (told(pairs), pairs[0][0][0].id) == (["a"], "a@example.org")
    assert list(begun(source(box, **both, id="{message_id}"), pairs[-1][1])) == []
    box.expunge("1", "Archive")
    pairs = list(begun(source(box, **both, id="{message_id}"), pairs[-1][1]))
    assert told(pairs) == ["-a@example.org"]


def test_a_mail_without_a_message_id_is_known_by_its_place(box: Mailbox) -> None:
    box.put("", data=b"Subject: none\r\n\r\n")
    ((packets, cursor),) = begun(source(box, id="mails/{message_id}"))
    assert _short(packets[0].id) == "mails/INBOX/1"
    box.expunge("1")
    assert told(list(begun(source(box, id="mails/{message_id}"), cursor))) == ["-mails/INBOX/1"]


def test_a_folder_that_is_numbered_anew_is_fetched_again(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "BATCH_MAILS", 8)
    names = [f"m{n:02}" for n in range(12)]

    def fill() -> None:
        box.create("Work")
        for name in names:
            box.put(name, "Work")

    fill()
    made = source(box, folders=["Work"])
    pairs = list(begun(made))
    former = [packet.id for packets, _ in pairs for packet in packets]
    cursor = pairs[-1][1]
    box.drop("Work")
    fill()
    # killed after each pair in turn
    for survives in range(5):
        run = begun(made, cursor)
        pairs = [pair for _, pair in zip(range(survives), run, strict=False)]
        pairs += begun(made, pairs[-1][1] if pairs else cursor)
        assert told(pairs)[:12] == names
        assert [packet.id for packets, _ in pairs for packet in packets if packet.is_deletion] == former
    # with ids of the mails themselves, nothing is deleted
    made = source(box, folders=["Work"], id="{message_id}")
    cursor = list(begun(made))[-1][1]
    box.drop("Work")
    fill()
    pairs = list(begun(made, cursor))
    assert told(pairs) == names
    # and a folder that is empty now has lost them
    box.drop("Work")
    box.create("Work")
    with pytest.raises(ComponentError, match=r"12 mails of .* that were known are gone"):
        list(begun(made, pairs[-1][1]))


def test_other_ids_are_given_to_all_mails(box: Mailbox) -> None:
    box.put("a")
    cursor = list(begun(source(box)))[-1][1]
    pairs = list(begun(source(box, id="{uid}"), cursor))
    assert (told(pairs), pairs[0][0][0].id) == (["a", "-INBOX/1"], "1")
    pairs = list(begun(source(box, id=""), pairs[-1][1]))
    assert (told(pairs), pairs[0][0][0].id) == (["a", "-1"], None)
    box.expunge("1")
    assert told(list(begun(source(box, id=""), pairs[-1][1]))) == []


def test_batches_are_bounded_in_bytes(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "BATCH_BYTES", 5_000)
    for name, size in (("a", 1_500), ("b", 1_500), ("c", 9_000), ("d", 100)):
        box.put(name, data=f"Subject: {name}\r\n\r\n".encode() + b"x" * size)
    pairs = list(begun(source(box)))
    assert [told([pair]) for pair in pairs] == [["a"], ["b"], ["c"], ["d"]]


def test_a_mail_that_is_too_large_is_a_dead_letter(box: Mailbox) -> None:
    box.put("a", data=b"Message-ID: <a>\r\n\r\n" + b"x" * 100)
    box.put("b", data=b"Message-ID: <b>\r\n\r\n")
    ((packets, cursor),) = begun(source(box, id="{message_id}", max_bytes=50))
    assert [(packet.id, "data" in packet) for packet in packets] == [("a", False), ("b", True)]
    (letter,) = run_component(source(box, max_bytes=50), packets).dead_letters
    assert (letter.code, letter.error) == (
        "imap.too_large",
        "mail 1 in INBOX has more than 50 bytes; raise max_bytes and move the mail to another folder and back",
    )
    assert list(begun(source(box, id="{message_id}", max_bytes=50), cursor)) == []


def test_a_crash_between_any_two_pairs_loses_and_doubles_nothing(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "BATCH_MAILS", 2)
    for name in "abcde":
        box.put(name)
    cursor = list(begun(source(box)))[-1][1]
    for name in "fgh":
        box.put(name)
    box.expunge("1:3")
    for survives in range(5):
        run = begun(source(box), cursor)
        pairs = [pair for _, pair in zip(range(survives), run, strict=False)]
        pairs += begun(source(box), pairs[-1][1] if pairs else cursor)
        assert told(pairs) == ["f", "g", "h", "-INBOX/1", "-INBOX/2", "-INBOX/3"]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("is_answered", [False, True])
def test_a_connection_that_breaks_anywhere_is_made_again(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch, is_answered: bool
) -> None:
    monkeypatch.setattr(imap, "BATCH_MAILS", 2)
    box.create("Work")
    for name in "abc":
        box.put(name)
        box.put(f"work {name}", "Work")
    with cutting(box.server.port) as proxy:
        made = source(box, folders=["*"], security="none", port=proxy.port)
        for cut in count():
            proxy.cut_after(cut, is_answered=is_answered)
            assert told(list(begun(made))) == ["a", "b", "c", "work a", "work b", "work c"]
            if not proxy.has_cut:
                break
    assert cut > 10


@pytest.mark.usefixtures("at_once")
def test_a_server_that_is_away_ends_the_run(box: Mailbox) -> None:
    box.put("a")
    with pytest.raises(ComponentError, match="the mail server cannot be reached") as raised:
        list(begun(source(box, port=free_port())))
    assert raised.value.code == "imap.unreachable"
    with cutting(box.server.port) as proxy:
        proxy.is_down = True
        with pytest.raises(ComponentError, match="the mail server cannot be reached"):
            list(begun(source(box, port=proxy.port, security="none")))


@pytest.mark.usefixtures("at_once")
def test_a_mail_that_the_server_fails_to_read_holds_up_no_other(box: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    for name in "abc":
        box.put(name)
    damaged = box.damage("b")
    pairs = list(begun(source(box)))
    assert told(pairs) == ["a", "c"]
    assert "mails cannot be read" in caplog.text
    assert list(begun(source(box), pairs[-1][1])) == []
    damaged.chmod(0o644)
    assert told(list(begun(source(box), pairs[-1][1]))) == ["b"]


def test_a_wrong_password_is_told_without_it(box: Mailbox) -> None:
    with pytest.raises(ComponentError, match=r"did not let u\w+ in: .*AUTHENTICATIONFAILED") as raised:
        list(begun(source(box, password="wrong-word")))
    assert (raised.value.code, "wrong-word" in raised.value.message) == ("imap.refused", False)


def test_a_certificate_that_nobody_trusts_ends_the_run(box: Mailbox) -> None:
    with pytest.raises(ComponentError, match="has a certificate that is not trusted: self-signed certificate"):
        list(begun(source(box, ca_file="")))
    with pytest.raises(ComponentError, match=r"ca_file 'none\.pem' holds no certificates") as raised:
        begun(source(box, ca_file="none.pem"))
    assert raised.value.code == "imap.ca_file"


def test_encryption_may_begin_later(box: Mailbox) -> None:
    box.put("a")
    assert told(list(begun(source(box, security="starttls", port=box.server.port)))) == ["a"]


def test_a_password_is_not_sent_where_the_server_forbids_it(box: Mailbox) -> None:
    made = source(box, host="127.0.0.2", security="none", port=box.server.port)
    with pytest.raises(ComponentError, match="takes no passwords on a connection that is not encrypted"):
        list(begun(made))


def test_a_server_without_sasl_is_logged_in_to_by_login(box: Mailbox) -> None:
    with imaplib.IMAP4("127.0.0.1", box.server.port) as client:
        client.capabilities = ("IMAP4REV1",)
        log_in(client, box.user, PASSWORD)
        assert client.list()[0] == "OK"


def test_many_deletions_have_to_be_confirmed(box: Mailbox) -> None:
    for n in range(11):
        box.put(f"m{n}")
    cursor = list(begun(source(box)))[-1][1]
    box.expunge("1:*")
    box.put("new")
    run = begun(source(box), cursor)
    pairs = [next(run)]
    assert told(pairs) == ["new"]
    with pytest.raises(ComponentError, match=r"11 mails of u.* at 127\.0\.0\.1 that were known are gone") as raised:
        next(run)
    assert raised.value.code == "source.too_many_deletions"
    deleted = [f"-INBOX/{uid}" for uid in range(1, 12)]
    assert told(list(begun(source(box, confirmed=True), pairs[-1][1]))) == deleted
    assert told(list(begun(source(box, deletions=False), pairs[-1][1]))) == []


def test_an_id_of_the_folder_alone_is_refused(box: Mailbox) -> None:
    with pytest.raises(InvalidInput, match="would be one document"):
        source(box, id="{folder}")


def test_a_node_fetches_and_goes_on_after_a_kill(box: Mailbox, tmp_path: Path) -> None:
    login = {"host": "127.0.0.1", "port": box.server.tls_port, "ca_file": box.server.ca_file}
    graph = {
        "pypes": 1,
        "name": "mails",
        "nodes": {
            "mails": {"component": "IMAP", "params": {**login, "user": box.user, "password": "${MAIL_PASSWORD}"}},
            "eml": {"component": "EML"},
            "lines": {"component": "JSONLines", "params": {"path": "mails.jsonl", "form": "packet"}},
        },
        "wires": [["eml.out", "lines.in"]],
    }
    box.put("a")
    lines = tmp_path / "data" / "mails.jsonl"
    with running(tmp_path, graph, workers=1, instances=1, environ={"MAIL_PASSWORD": PASSWORD}) as node:
        assert node.post(b"", "/graphs/mails/trigger").status == 202
        until(lambda: receipts("title", lines), 30, "the mail is published")
        node.kill()
        box.put("b")
        until(lambda: not node.leftovers(), 10, "the node is gone")
        node.start()
        node.wait_ready()
        # the run that was killed goes on by itself, and another begins only then
        until(lambda: node.post(b"", "/graphs/mails/trigger").status == 202, 30, "the run is over")
        until(lambda: "b" in receipts("title", lines), 30, "the other mail is published")
        assert {title: len(under) for title, under in receipts("title", lines).items()} == {"a": 1, "b": 1}
        assert PASSWORD not in node.log()
