"""Members of a fleet as a worker sees them: who owns a text, who may have had it before, where an id leads."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from pypes.errors import NotFound, PypesError, Unavailable
from pypes.runtime.contracts.fleet import AWAY, DRAINED, Member
from pypes.runtime.contracts.handing import Adopted
from pypes.runtime.fleet.owning import ranked
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.worker import members
from pypes.runtime.worker.members import Former, Members


def member(name: str, *, state: str = "ready", is_new: bool = False, **more: object) -> Member:
    return msgspec.structs.replace(Member(name, f"http://{name}", ord(name), state, is_new=is_new), **more)


def knowing(*all_members: Member) -> Members:
    """What the first of these knows of all."""
    first, *others = all_members
    found = Members(FleetAccess(("secret",)), ord(first.name), 1.0)
    found.apply([msgspec.structs.replace(first, is_here=True), *others])
    return found


def text_of(*names: str) -> str:
    """A text for which members have these ranks."""
    return next(text for text in map(str, range(10_000)) if tuple(ranked(text, names)) == names)


def names(former: list[Former]) -> list[tuple[str, int | None]]:
    return [(one.member.name, one.node) for one in former]


def test_former_owners_are_asked_down_to_one_that_did_not_join_lately() -> None:
    text = text_of("a", "b", "c", "d")
    new = {"a": True, "b": True, "c": False, "d": True}
    assert names(knowing(*(member(name, is_new=is_new) for name, is_new in new.items())).former(text)) == [
        ("b", None),
        ("c", None),
    ]
    assert knowing(*(member(name, is_new=False) for name in new)).former(text) == []
    assert names(knowing(member("a", is_new=True), member("b", is_new=True)).former(text)) == [("b", None)]


def test_a_drained_node_owns_nothing_and_who_has_its_shards_is_asked() -> None:
    text = text_of("x", "a", "b")
    adopting = member("b", adopted=(Adopted(7, "x"),))
    for listed in ([], [member("x", state=DRAINED)]):
        found = knowing(member("a"), adopting, *listed)
        assert [one.name for one in found.ranked(text)] == ["a", "b"]
        assert names(found.former(text)) == [("b", 7)]
        assert found.find(7) is not None
        assert [name for name, _ in found.others()] == ["b"]
    assert knowing(member("a"), adopting).former(text_of("a", "x", "b")) == []
    later = member("b", adopted=(Adopted(7, "x", is_new=False),))
    assert knowing(member("a"), later).former(text) == []


def test_a_new_node_of_the_name_of_a_drained_one_asks_for_what_that_had() -> None:
    text = text_of("x", "a", "b")
    again = member("x", is_new=True)
    found = knowing(again, member("a"), member("b", adopted=(Adopted(7, "x"),)))
    assert found.ranked(text)[0].name == "x"
    assert names(found.former(text)) == [("b", 7), ("a", None)]


def test_nobody_is_asked_before_each_member_was_heard_or_missed() -> None:
    found = knowing(member("a"), member("b", state=AWAY))
    with pytest.raises(Unavailable) as caught:
        found.ranked("text")
    assert caught.value.code == "fleet.joining"
    assert knowing(member("a"), member("b", state=AWAY, reason="refused")).ranked("text")
    # of a name that leads to all, a former address cannot be asked
    assert knowing(member("a"), member("b", state=AWAY, url="")).ranked("text")


def test_a_node_whose_shards_another_one_has_is_doubled() -> None:
    found = knowing(member("x"), member("b", adopted=(Adopted(ord("x"), "x"),)))
    assert found.twin is not None
    assert found.twin.name == "b"


def test_a_node_that_has_just_joined_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its receipts come to others before they have been told of it."""
    unknown = NotFound("no such node", code="receipt.other_node")

    async def ask(is_told: bool) -> str:
        found = knowing(member("a"))
        asking = asyncio.ensure_future(found.awaited(ord("b"), unknown).trace("id"))
        await asyncio.sleep(0)
        if is_told:
            found.apply([*found.all, member("b", state=AWAY)])
        with pytest.raises(PypesError) as raised:
            await asking
        return raised.value.code

    monkeypatch.setattr(members, "JOIN_S", 0.0)
    assert asyncio.run(ask(is_told=False)) == "receipt.other_node"
    monkeypatch.setattr(members, "JOIN_S", 30.0)
    assert asyncio.run(ask(is_told=True)) == "fleet.member_away"
