"""Isolated components do what they would do in the instance."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pypes.component import Adapter, Component, Operator, Publisher, Transformer
from pypes.core.limits import MIB, Limits
from pypes.core.shown import REASON_CHARS
from pypes.errors import ComponentError, InvalidComponent
from pypes.graph.spec import describe
from pypes.ingest.codecs.raw import StreamBody
from pypes.ingest.delivery import Spooled
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.placement import isolate
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from pypes.testing import run_component
from tests.placement import samples
from tests.placement.isolating import LIMITS, does, graph, run
from tests.runtime.scheduler.exceptions import RAISING
from tests.runtime.scheduler.graphs import Pass


def test_a_join_may_be_isolated_and_wait_for_a_branch_that_is() -> None:
    nodes = {"one": Pass(), "apart": samples.Apart(), "join": samples.Gather()}
    wires = [("one.out", "apart.in"), ("apart.out", "join.in"), ("one.out", "join.in2")]
    given = [Packet({"n": n, **({"do": "drop"} if n % 3 == 0 else {})}) for n in range(60)]
    with Pipeline(nodes=nodes, wires=wires, limits=Limits(isolated_bytes=400 * MIB, wire_packets=8)) as pipeline:
        found = list(pipeline.run(given))
    assert [packet.get("n") for packet in found] == [n for n in range(60) for _ in range(2 if n % 3 else 1)]
    assert os.getpid() not in {packet.get_meta("pid") for packet in found}
    assert not pipeline.dead_letters


# -- what it looks like -----------------------------------------------------------------------------------


def test_it_looks_like_what_it_stands_for() -> None:
    component = samples.Reader()
    made: Any = isolate(component, limits=LIMITS)
    assert type(made) is not samples.Reader
    assert isinstance(made, Adapter)
    assert (type(made).__name__, made.get_type(), made.accepts) == ("Reader", "ADAPTER", ("text/x-sample",))
    assert (made.max_attempts, made.isolated, made.is_original_style()) == (2, True, False)
    assert made.schema() == component.schema()
    parts = isolate(samples.Parts(), limits=LIMITS)
    assert isinstance(parts, Operator)
    assert parts.get_out_ports() == ["odd", "out", "unwired"]


def test_parameters_travel() -> None:
    component = samples.Apart()
    component.configure({"marks": ["x", "y"]})
    [packet] = run(component, [Packet()]).packets
    assert packet.get_meta("marks") == ["x", "y"]


def test_it_runs_in_a_process_of_its_own() -> None:
    first, second = run(samples.Apart(), [Packet(), Packet()]).packets
    assert first.get_meta("pid") == second.get_meta("pid") != os.getpid()


def test_a_component_made_of_a_function() -> None:
    assert run(samples.double(), [Packet({"n": 2})]).packets[0].get("n") == 4


def test_where_the_class_is_can_be_said() -> None:
    spec = describe(samples.double, module=samples.__file__, attr="double")
    made = isolate(samples.double(), limits=LIMITS, spec=spec)
    assert run_component(made, [Packet({"n": 2})]).packets[0].get("n") == 4


def test_a_class_that_nobody_else_finds_is_refused() -> None:
    class Local(Transformer):
        isolated = True

    with pytest.raises(InvalidComponent, match="top level of a module"):
        isolate(Local(), limits=LIMITS)

    class Publishes(Publisher):
        isolated = True

    with pytest.raises(InvalidComponent, match="a publisher cannot be isolated"):
        isolate(Publishes(), limits=LIMITS)

    class Batches(Transformer):
        isolated = True
        batch_size = 10

        def process_batch(self, packets: list[Any]) -> list[Any]:
            return packets

    with pytest.raises(InvalidComponent, match="gets one packet at a time; leave out batch_size"):
        isolate(Batches(), limits=LIMITS)


# -- what comes of packets --------------------------------------------------------------------------------


def test_packets_keep_everything() -> None:
    packet = Packet({"bytes": b"\xff", "nested": {"a": [1, b"\0"]}}, {"m": [1]}, {"bytes": {"charset": None}})
    packet.set("one", [1, 2])
    packet.set("several", [1], multi=True)
    packet.append("grown", 1)
    expected = packet.clone()
    packet.set("n", 0)
    [found] = run(samples.Parts(), [packet]).packets
    found.delete("n")
    found.delete("unwired")
    assert found == expected
    for name in ("one", "several", "grown"):
        assert found.is_multivalued(name) == expected.is_multivalued(name), name


def test_values_that_are_no_packets() -> None:
    assert run(samples.Apart(), [1, "two", [3]]).packets == [1, "two", [3]]


def test_whatever_it_raises_fails_one_packet() -> None:
    found = run(samples.Raises(), [Packet({"n": 0}), *(Packet({"kind": kind}) for kind in RAISING), Packet({"n": 2})])
    assert [packet.get("n") for packet in found.packets] == [0, 2]
    assert [letter.documents for letter in found.dead_letters] == [(n,) for n in range(1, 1 + len(RAISING))]
    for letter in found.dead_letters:
        letter.error.encode(), letter.traceback.encode()
        assert letter.error
        assert len(letter.error) <= REASON_CHARS + 100


@pytest.mark.parametrize("cls", [samples.Returns, samples.ReturnsInBatch])
def test_what_it_should_not_return_fails_one_packet(cls: type[Component]) -> None:
    kinds = ["list", "generator", "coroutine", "true"]
    found = run(cls(), [Packet({"n": 0}), *(Packet({"kind": kind}) for kind in kinds), Packet({"n": 2})])
    assert [packet.get("n") for packet in found.packets] == [0, 2]
    assert [letter.code for letter in found.dead_letters] == ["component.returned"] * len(kinds)


def test_a_packet_is_dropped() -> None:
    assert does("drop") == ([], [])


def test_many_packets_to_several_ports_in_order() -> None:
    packets = [Packet({"n": n, "name": n}) for n in (3, 0, 1000)]
    found = run(samples.Parts(), packets)
    seen = [(packet.get("name"), packet.get("part")) for packet in found.packets]
    assert seen == [(3, 0), (3, 2), (3, None), (0, None), *((1000, n) for n in range(0, 1000, 2)), (1000, None)]
    assert [p.get("part") for p in found.outputs["odd"]] == [1, *range(1, 1000, 2)]
    assert all(packet.get("unwired") is True for packet in found.packets if not packet.has("part"))
    assert not found.dead_letters


def test_what_was_sent_before_a_failure_goes_on() -> None:
    found = run(samples.Parts(), [Packet({"n": 4, "fails": True})])
    assert len(found.packets) == len(found.outputs["odd"]) == 2
    assert [(letter.code, letter.error) for letter in found.dead_letters] == [("component.raised", "ValueError: after sending")]


def test_lists() -> None:
    found = run(samples.Batch(), [Packet({"n": n}) for n in range(3)])
    assert [(packet.get("n"), packet.get("of")) for packet in found.packets] == [(0, 1), (1, 1), (2, 1)]


def test_a_large_body_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "spooled"
    path.write_bytes(b"x" * 1_000_000)
    body = StreamBody(Spooled(str(path), 1_000_000), "", LIMITS)
    packet = Packet({"do": "read"})
    packet.set("data", body)
    [found] = run(samples.Apart(), [packet]).packets
    assert found.get("size") == 1_000_000
    assert found.parts()[0]["data"] is body


def test_a_body_that_the_component_made_travels_as_bytes() -> None:
    [found] = run(samples.Apart(), [Packet({"do": "own_body"})]).packets
    assert found.get("made") == b"abc"


# -- what goes wrong --------------------------------------------------------------------------------------


def test_exceptions_keep_name_message_and_traceback() -> None:
    _, [raised, rejected, left, lost] = does("value", "reject", "exit", "no_port")
    assert (raised.code, raised.error, raised.component) == ("component.raised", "ValueError: bad bad", "Apart")
    assert "raise ValueError(f\"bad {packet.get('id')}\")" in raised.traceback
    assert "samples.py" in raised.traceback
    assert (rejected.code, rejected.error) == ("sample.rejected", "not wanted")
    assert (left.code, left.error) == ("component.raised", "SystemExit: 3")
    assert (lost.code, "no output port 'nowhere'" in lost.error) == ("component.raised", True)


def test_asking_for_another_try() -> None:
    component = samples.Apart()
    component.max_attempts = 2
    [letter] = run(component, [Packet({"do": "retry"})]).dead_letters
    assert (letter.code, letter.error, letter.attempts) == ("retry.exhausted", "later", 2)


@pytest.mark.parametrize("what", ["unreachable", "refused"])
def test_the_instance_learns_that_a_service_is_not_there_whichever_class_said_so(what: str) -> None:
    component = samples.Apart()
    component.max_attempts = 2
    [letter] = run(component, [Packet({"do": what})]).dead_letters  # here nothing rests
    assert (letter.code, letter.attempts) == ("retry.exhausted", 2)
    assert "nobody there" in letter.error


def test_what_cannot_travel_is_refused() -> None:
    found = run(samples.Apart(), [Packet.from_document({"lock": threading.Lock()}), Packet({"do": "odd"}), Packet()])
    assert [letter.code for letter in found.dead_letters] == ["isolated.value"] * 2
    assert "the packet cannot be sent to the process of filter component" in found.dead_letters[0].error
    assert (
        "a packet that the component made cannot be sent to the instance: field 'lock': lock cannot"
        in found.dead_letters[1].error
    )
    assert len(found.packets) == 1


# -- its life ---------------------------------------------------------------------------------------------


def test_set_up_and_torn_down_where_it_runs(tmp_path: Path) -> None:
    run(samples.SetUp(), [Packet()], data_dir=tmp_path)
    assert (tmp_path / "lives").read_text() == "setup\nteardown\nclosed\n"


def test_setting_up_again_is_tried_again(tmp_path: Path) -> None:
    packets = [Packet({"do": "crash"}), Packet(), Packet()]
    found = run(samples.SetUp(), packets, data_dir=tmp_path)
    assert [letter.code for letter in found.dead_letters] == ["isolated.killed"]
    assert len(found.packets) == 2
    assert (tmp_path / "lives").read_text() == "setup\nsetup\nteardown\nclosed\nsetup\nteardown\nclosed\n"


@pytest.mark.parametrize(
    ("how", "reason"), [("raise", "set-up failed: LookupError: no model"), ("crash", "killed by SIGABRT at set-up")]
)
def test_a_set_up_that_fails_is_told(how: str, reason: str) -> None:
    component = samples.NeverReady()
    component.configure({"how": how})
    with pytest.raises(ComponentError, match=reason) as caught:
        run(component, [Packet()])
    assert caught.value.where == "component"
    if how == "raise":
        cause = caught.value.__cause__
        assert cause is not None
        assert 'raise LookupError("no model")' in str(cause.__cause__)


def test_logs_say_what_they_are_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(samples.Apart(), [Packet({"id": "7", "do": "speak"}, {"receipt": "r-1"})])
    plain, odd = (record for record in caplog.records if record.name == "pypes.component.Apart")
    said: Any = vars(plain)
    assert (plain.getMessage(), plain.levelname) == ("look at 7", "WARNING")
    assert (said["graph"], said["filter"], said["receipt"], said["n"]) == ("test", "component", "r-1", 1)
    assert 'raise KeyError("gone")' in vars(odd)["exception"]
    assert "lock" in vars(odd)["lock"]


def test_nothing_leaves_the_process_that_it_hides(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    own = samples.Tells()
    own.secrets.add("correct-horse", "${KEY}")
    made = isolate(own, limits=LIMITS, redact=("password",))
    # the second secret is known there alone
    found = run_component(made, [Packet({"password": "correct-horse", "more": "battery-staple"})])
    (letter,) = found.dead_letters
    assert (letter.error, letter.code) == ("ValueError: ${KEY} ***", "component.raised")
    lines = {record.getMessage(): vars(record) for record in caplog.records if record.name == "client ***"}
    assert lines.keys() == {"took Packet({'password': '(hidden)', 'more': '***'})"}
    assert all(line["password"] == "(hidden)" for line in lines.values())
    said = capfd.readouterr()
    assert "correct-horse" not in repr((said, letter.error, letter.traceback, lines))
    assert "battery" not in repr((said.out, said.err, letter.error, letter.traceback, lines))
    assert said.out == "${KEY} ***\n"


def test_a_line_that_cannot_be_formatted_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    found = run(samples.SpeaksBadly(), [Packet()])
    assert (len(found.packets), found.dead_letters) == (1, ())
    lines = [record for record in caplog.records if record.name in ("lib", "pypes.component.SpeaksBadly")]
    assert [line.getMessage() for line in lines] == [
        "set up %d (cannot be formatted: TypeError: %d format: a real number is required, not str)",
        "a %s %s (cannot be formatted: TypeError: not enough arguments for format string)",
        "b %s (cannot be formatted: LookupError: no text)",
        "c",
    ]
    given: Any = vars(lines[2])
    assert given["mute"] == "<Mute, and LookupError in its text>"
    assert (given["itself"], given["pair"]) == (["<1 values>"], "<dict, and LookupError in its text>")
    assert vars(lines[3])["exception"].startswith("no traceback: IndexError")


#: Starts a pipeline whenever it is loaded, so also in the process of its own component.
UNGUARDED = """
from pypes import Packet, Pipeline, Transformer


class Apart(Transformer):
    isolated = True

    def process(self, packet):
        return packet


with Pipeline(Apart) as pipeline:
    list(pipeline.run([Packet()]))
"""


def test_a_script_without_a_guard_is_told_to_have_one(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "put that code under if __name__ == '__main__'" in done.stderr
    (tmp_path / "guarded.py").write_text(UNGUARDED.replace("with Pipeline", "if __name__ == '__main__':\n  with Pipeline"))
    assert subprocess.run([sys.executable, "guarded.py"], cwd=tmp_path, check=False).returncode == 0


class Touch(Transformer):
    """Makes the file that others wait for."""

    path: Path

    def process(self, packet: Packet) -> Packet:
        self.path.touch()
        return packet


def test_other_filters_go_on_meanwhile(tmp_path: Path) -> None:
    waits, touch = isolate(samples.WaitsForFile(), limits=LIMITS), Touch()
    waits.data_dir, touch.path = str(tmp_path), tmp_path / "go"
    done: list[Epoch] = []
    scheduler = Scheduler(graph("waits", "touch"), {"waits": waits, "touch": touch}, on_done=done.append)
    scheduler.setup()
    try:
        scheduler.submit(Feed(iter([("waits", [Packet()], (0,)), ("touch", [Packet()], (0,))]), 1))
        scheduler.drain()
    finally:
        scheduler.teardown()
    assert not done[0].dead_letters
