"""Functions made components: ports and parameters from annotations, generators, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import pytest

from pypes.component import KINDS, Example, Extractor
from pypes.component.functions import component
from pypes.component.parameters import Help
from pypes.errors import InvalidComponent
from pypes.packet import Packet
from pypes.testing import run_component


def test_a_function_becomes_a_component() -> None:
    @component(kind=Extractor)
    def shout(packet: Packet, field: Annotated[str, Help("Field to shout.")] = "title", times: int = 1) -> Packet:
        """Upper-case a field."""
        packet.set(field, packet.get(field).upper() + "!" * times)
        return packet

    assert shout.__name__ == "shout"
    assert shout.__doc__ == "Upper-case a field."
    assert shout().get_type() == KINDS["Extractors"]
    assert shout().schema()["properties"]["field"]["description"] == "Field to shout."
    result = run_component(shout, [Packet({"title": "hello"})], times=2)
    assert [p.get("title") for p in result.packets] == ["HELLO!!"]


def test_a_generator_emits_many_and_none_drops() -> None:
    @component
    def words(packet: Packet) -> Iterator[Packet]:
        for word in packet.get("text").split():
            yield Packet({"word": word})

    @component
    def short(packet: Packet) -> Packet | None:
        return packet if len(packet.get("word")) < 4 else None

    made = run_component(words, [Packet({"text": "one three two"})]).packets
    assert [p.get("word") for p in run_component(short, made).packets] == ["one", "two"]


def test_a_function_says_what_the_catalogue_shows() -> None:
    example = Example(Packet({"n": 1}), Packet({"n": 1}))

    @component(icon="copy", tags=("numbers",), example=example, needs={"json": "pip install json"})
    def same(packet: Packet) -> Packet:
        return packet

    assert (same.icon, same.tags, same.example, same.needs) == ("copy", ("numbers",), example, {"json": "pip install json"})

    @component(kind=same)
    def derived(packet: Packet) -> Packet:
        return packet

    assert derived.icon == "copy"


def test_a_function_without_a_packet_is_refused() -> None:
    with pytest.raises(InvalidComponent, match="at least one argument"):

        @component
        def nothing() -> None: ...


def test_the_decorator_is_at_hand_from_the_package() -> None:
    import pypes

    @pypes.component
    def same(packet: Packet) -> Packet:
        return packet

    assert len(run_component(same, [Packet()]).packets) == 1


def test_the_package_shows_its_public_names_used_or_not() -> None:
    import pypes

    shown = [name for name in dir(pypes) if not name.startswith("__")]
    assert shown == sorted(pypes.__all__)
