"""Worked examples: what they say, and that one which is not what happens fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pypes.component import Component, Example, Operator, Parameters, Publisher, Source, Transformer
from pypes.packet import Packet
from pypes.testing import run_example


class Shout(Transformer):
    class Params(Parameters):
        mark: str = "!"

    def process(self, packet: Packet) -> Packet:
        if packet.get("text") == "bad":
            raise ValueError("no shouting")
        packet.set("text", packet.get("text").upper() + self.params.mark)
        packet.set_meta("loud", True)
        packet.set_meta("length", 3, "text")
        return packet


class Both(Operator):
    outputs = {"out": "One", "rest": "Other"}

    def process(self, packet: Packet) -> Packet:
        self.send("rest", packet.clone())
        return packet


class Keep(Publisher):
    def process(self, packet: Packet) -> None:
        Path(self.data_dir, "kept.txt").write_text(packet.get("text"))


class Read(Source):
    class Params(Parameters):
        path: str = ""

    def fetch(self, cursor: Any) -> Any:
        yield [Packet({"text": Path(self.data_dir, self.params.path).read_text()})], 1


def of(cls: type[Component], *packets: Any, **others: Any) -> type[Component]:
    return type(cls.__name__, (cls,), {"example": Example(*packets, **others)})


HEY = Packet({"text": "hey"})
LOUD = Packet({"text": "HEY!"})


@pytest.mark.parametrize(
    "cls",
    [
        of(Shout, HEY, LOUD),
        of(Shout, [HEY, HEY], [LOUD, LOUD]),
        of(Shout, HEY, Packet({"text": "HEY!"}, {"loud": True})),
        of(Shout, HEY, Packet({"text": "HEY?"}), params={"mark": "?"}),
        of(Shout, HEY, Packet({"text": "HEY.."}), params={"mark": "${MARK}"}),
        of(Both, HEY, {"out": HEY, "rest": [HEY]}),
        of(Keep, HEY, leaves={"kept.txt": "hey"}),
        of(Keep, HEY, leaves={"kept.txt": None}),
        of(Read, gives=HEY, params={"path": "in/a.txt"}, files={"in/a.txt": "hey"}),
    ],
)
def test_a_right_one_passes(cls: type[Component], tmp_path: Path) -> None:
    run_example(cls, tmp_path, {"MARK": ".."})
    run_example(cls, tmp_path, {"MARK": ".."})  # the packets shown are not used up


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (Shout, "has no example"),
        (of(Shout, HEY, HEY), "port out, packet 0: shown is Packet"),
        (of(Shout, HEY, Packet({"text": "HEY!", "more": 1})), "port out, packet 0"),
        (of(Shout, HEY, Packet.from_document({"text": ["HEY!"]})), "port out, packet 0"),
        (of(Shout, HEY, Packet({"text": "HEY!"}, {"loud": False})), "port out, packet 0"),
        (of(Shout, HEY), "port out: 0 packets are shown, 1 came"),
        (of(Shout, HEY, [LOUD, LOUD]), "port out: 2 packets are shown, 1 came"),
        (of(Shout, Packet({"text": "bad"}), LOUD), "failed: component.raised: ValueError: no shouting"),
        (of(Both, HEY, HEY), "port rest: 0 packets are shown, 1 came"),
        (of(Both, HEY, {"out": HEY, "rest": HEY, "none": HEY}), "port none: 1 packets are shown, 0 came"),
        (of(Keep, HEY, leaves={"other.txt": None}), "file other.txt: is not there"),
        (of(Keep, HEY, leaves={"kept.txt": "hi"}), "file kept.txt: shown is 'hi', it holds 'hey'"),
        (of(Read, gives=[], params={"path": "a.txt"}, files={"a.txt": "hey"}), "0 packets are shown, 1 came"),
    ],
)
def test_a_wrong_one_fails(cls: type[Component], said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        run_example(cls, tmp_path)
    assert said in str(caught.value)


def test_metadata_of_fields_is_compared(tmp_path: Path) -> None:
    shown = Packet({"text": "HEY!"})
    shown.set_meta("length", 3, "text")
    run_example(of(Shout, HEY, shown), tmp_path)
    shown.set_meta("length", 4, "text")
    with pytest.raises(AssertionError, match="packet 0"):
        run_example(of(Shout, HEY, shown), tmp_path)


def test_as_json() -> None:
    example = Example(HEY, {"rest": [HEY]}, params={"n": 1}, leaves={"a": None})
    packet = {"fields": {"text": "hey"}, "meta": {}, "field_meta": {}}
    assert example.to_obj() == {
        "params": {"n": 1},
        "takes": {"in": [packet]},
        "gives": {"rest": [packet]},
        "files": {},
        "leaves": {"a": None},
    }
