"""HTTPPoll against a real server: items that are new, changed or gone, pages, conditions, and what ends a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pypes import Packet
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes.testing.node import free_port
from pypes_stores import http_poll
from pypes_stores.http_poll import HTTPPoll

from .listing import Listing, listing

Pairs = list[tuple[list[Packet], Any]]


@pytest.fixture
def server() -> Iterator[Listing]:
    with listing() as state:
        yield state


class TestHTTPPoll(ComponentSuite):
    component = HTTPPoll

    @pytest.fixture(autouse=True)
    def _server(self, server: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
        server.pages["/people"] = {"people": [{"number": 7, "name": "Ada"}]}
        monkeypatch.setattr(type(self), "environ", {"SITE": server.url})

    params = {"url": "http://127.0.0.1:9/people"}


def source(server: Listing, *, confirmed: bool = False, **params: Any) -> HTTPPoll:
    made = HTTPPoll()
    made.configure({"url": f"{server.url}/list", **params})
    made.is_confirmed = confirmed
    return made


def begun(made: HTTPPoll, cursor: Any = None) -> Iterator[tuple[list[Packet], Any]]:
    made.setup()
    return made.fetch(cursor)


def told(pairs: Pairs) -> list[str]:
    packets = [packet for pair, _ in pairs for packet in pair]
    return [f"-{packet.id}" if packet.is_deletion else f"{packet.id} {packet.get('name')}" for packet in packets]


def items(*names: str, begin: int = 1) -> list[dict[str, Any]]:
    return [{"id": number, "name": name} for number, name in enumerate(names, begin)]


def test_items_that_are_new_changed_or_gone(server: Listing) -> None:
    server.pages["/list"] = [{"id": 1, "name": "Ada", "tags": ["x", "y"]}, {"id": "two", "name": "Alan"}]
    ((packets, cursor),) = begun(source(server))
    assert [(packet.id, packet.get("name"), packet.get("tags")) for packet in packets] == [
        ("1", "Ada", ["x", "y"]),
        ("two", "Alan", None),
    ]
    assert list(begun(source(server), cursor)) == []
    # another order of members is no change
    server.pages["/list"] = [{"tags": ["x", "y"], "name": "Ada", "id": 1}, {"id": 3, "name": "Grace"}]
    pairs = list(begun(source(server), cursor))
    assert told(pairs) == ["3 Grace", "-two"]
    assert list(begun(source(server), pairs[-1][1])) == []


def test_a_list_that_has_not_changed_is_not_sent_again(server: Listing) -> None:
    server.pages["/list"] = items("Ada")
    server.headers["/list"] = {"ETag": '"1"', "Last-Modified": "Sat, 29 Nov 2025 10:00:00 GMT"}
    pairs = list(begun(source(server)))
    assert told(pairs) == ["1 Ada"]
    assert list(begun(source(server), pairs[-1][1])) == []
    asked = server.asked[-1][1]
    assert (asked["if-none-match"], asked["if-modified-since"]) == ('"1"', "Sat, 29 Nov 2025 10:00:00 GMT")
    server.pages["/list"], server.headers["/list"] = items("Ada", "Alan"), {"ETag": '"2"'}
    assert told(list(begun(source(server), pairs[-1][1]))) == ["2 Alan"]


@pytest.mark.parametrize("is_linked", [False, True])
def test_pages_are_followed(server: Listing, is_linked: bool) -> None:
    server.pages["/list"] = {"data": {"all": items("a", "b")}, "next": "/list?page=2"}
    server.pages["/list?page=2"] = {"data": {"all": items("c", begin=3)}, "next": None}
    server.headers["/list"] = {"ETag": '"1"', **({"Link": '<a>; rel="prev", </list?page=2>; rel="next"'} if is_linked else {})}
    made = source(server, items="data.all", next="" if is_linked else "next")
    pairs = list(begun(made))
    assert told(pairs) == ["1 a", "2 b", "3 c"]
    # the ETag of a page says nothing of the others
    server.pages["/list?page=2"]["data"]["all"] = []
    assert told(list(begun(made, pairs[-1][1]))) == ["-3"]


def test_a_page_that_is_not_there_deletes_nothing(server: Listing) -> None:
    server.pages["/list"] = {"items": items("a"), "next": "/more"}
    server.pages["/more"] = {"items": items("b", begin=2)}
    made = source(server, items="items", next="next")
    cursor = list(begun(made))[-1][1]
    del server.pages["/more"]
    with pytest.raises(ComponentError, match="answered 404 Not Found"):
        list(begun(made, cursor))


@pytest.mark.parametrize(
    ("page", "params", "said"),
    [
        (b"<html>", {}, "no JSON"),
        ({"items": []}, {}, "answered with no list: see parameter items"),
        ({"items": {}}, {"items": "items"}, "no list at 'items'"),
        ([1] * 100, {"max_bytes": 100}, "a page of more than max_bytes, 100"),
        ({"items": [], "next": "http://127.0.0.2/"}, {"items": "items", "next": "next"}, "leads to a page on another host"),
    ],
)
def test_what_is_no_list_ends_the_run(server: Listing, page: Any, params: dict[str, Any], said: str) -> None:
    server.pages["/list"] = page
    with pytest.raises(ComponentError, match=said):
        list(begun(source(server, **params), {"url": f"{server.url}/list", "seen": {"1": "x"}, "conditions": {}}))


@pytest.mark.parametrize("status", [301, 401, 500, 503])
def test_another_status_ends_the_run(server: Listing, status: int) -> None:
    server.pages["/list"] = []
    server.statuses = [status]
    with pytest.raises(ComponentError, match=f"answered {status}"):
        list(begun(source(server)))


def test_an_answer_that_is_cut_off_ends_the_run(server: Listing) -> None:
    server.pages["/list"] = items("a", "b")
    server.cut = 10
    with pytest.raises(ComponentError, match=r"failed: .*IncompleteRead"):
        list(begun(source(server)))


def test_a_server_that_is_not_there_ends_the_run(server: Listing) -> None:
    with pytest.raises(ComponentError, match="Connection refused"):
        list(begun(source(server, url=f"http://127.0.0.1:{free_port()}/")))


def test_an_item_without_an_id_or_too_large_is_a_dead_letter_once(server: Listing) -> None:
    server.pages["/list"] = [{"name": "nobody"}, {"id": 1, "name": "x" * 5_000}, 7, *items("a", begin=2)]
    made = source(server)
    made.fetched_bytes = 4_000
    pairs = list(begun(made))
    result = run_component(source(server), [packet for packets, _ in pairs for packet in packets])
    assert [(letter.code, letter.error.partition(":")[0]) for letter in result.dead_letters] == [
        ("poll.no_key", "an item has no text or whole number at 'id'"),
        ("poll.too_large", "item 1 has 5530 bytes, and limits.json_bytes lets 4000 be handed over; raise it"),
        ("poll.no_key", "an item has no text or whole number at 'id'"),
    ]
    assert [packet.id for packet in result.packets] == ["2"]
    made = source(server)
    made.fetched_bytes = 4_000
    assert list(begun(made, pairs[-1][1])) == []


def test_of_two_items_with_one_id_the_first_is_taken(server: Listing, caplog: pytest.LogCaptureFixture) -> None:
    server.pages["/list"] = [*items("a"), *items("b")]
    pairs = list(begun(source(server)))
    assert told(pairs) == ["1 a"]
    assert "an id is there twice" in caplog.text
    assert list(begun(source(server), pairs[-1][1])) == []


def test_ids_are_made_of_the_key(server: Listing) -> None:
    server.pages["/list"] = [{"meta": {"ref": "a"}, "name": "Ada"}]
    assert told(list(begun(source(server, key="meta.ref", id="people/{key}")))) == ["people/a Ada"]
    pairs = list(begun(source(server, key="meta.ref", id="")))
    assert [packet.get_meta("id") for packet in pairs[0][0]] == [None]
    server.pages["/list"] = []
    assert [packets for packets, _ in begun(source(server, key="meta.ref", id=""), pairs[-1][1])] == []


def test_a_crash_between_any_two_pairs_loses_and_doubles_nothing(server: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_poll, "BATCH_ITEMS", 2)
    server.pages["/list"] = items("a", "b", "c", "d", "e")
    before = list(begun(source(server)))[-1][1]
    server.pages["/list"] = items("d", "e", "f", "g", "h", begin=4)[:1] + items("E", "f", begin=5)
    server.headers["/list"] = {"ETag": '"2"'}
    for survives in range(5):
        run = begun(source(server), before)
        pairs = [pair for _, pair in zip(range(survives), run, strict=False)]
        pairs += begun(source(server), pairs[-1][1] if pairs else before)
        assert told(pairs) == ["5 E", "6 f", "-1", "-2", "-3"]
        assert pairs[-1][1]["conditions"] == {"If-None-Match": '"2"'}


def test_many_deletions_have_to_be_confirmed(server: Listing) -> None:
    server.pages["/list"] = items(*"abcdefghijk")
    cursor = list(begun(source(server)))[-1][1]
    server.pages["/list"] = []
    with pytest.raises(ComponentError, match=r"11 items of .* that were known are gone") as raised:
        list(begun(source(server), cursor))
    assert raised.value.code == "source.too_many_deletions"
    assert len(told(list(begun(source(server, confirmed=True), cursor)))) == 11
    assert told(list(begun(source(server, deletions=False), cursor))) == []


@pytest.mark.parametrize("url", ["ftp://x/", "http://user:word@x/", "http://"])
def test_addresses_that_cannot_be_are_refused(server: Listing, url: str) -> None:
    with pytest.raises(InvalidInput, match="url"):
        source(server, url=url)
