"""Trials: every packet on its way is seen, and nothing is published."""

from __future__ import annotations

import base64
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from pypes.cli.catalogue import find_components
from pypes.core.lifeline import Lifeline
from pypes.core.media_types import PACKETS
from pypes.errors import BadRequest, ComponentError
from pypes.graph.cases import Post
from pypes.graph.codec import from_obj, to_obj
from pypes.graph.model import Graph
from pypes.registry import Catalogue
from pypes.runtime.trials.cutting import TEXT_CHARS
from pypes.runtime.trials.report import Origin, Report, Step
from pypes.runtime.trials.trial import Trial

PARTS = '''
from pypes import Adapter, Component, Packet, Publisher, Retry, Transformer


class In(Adapter):
    """Takes JSON."""

    accepts = ("application/json",)

    def process(self, packet):
        return packet


class Odd(Transformer):
    """Drops, fails or passes, as the packet says."""

    outputs = {"out": "Passed", "side": "Put aside"}

    def process(self, packet):
        do = packet.get("do")
        if do == "raise":
            raise ValueError("no")
        if do == "side":
            self.send("side", packet)
            return None
        return None if do == "drop" else packet


class Bad(Transformer):
    """Cannot be set up."""

    def setup(self):
        raise RuntimeError("no model")


class OldFile(Component):
    """The same in the original style."""

    __metatype__ = "PUBLISHER"

    def __init__(self):
        Component.__init__(self)
        self.remove_output("out")

    def run(self):
        while True:
            for packet in self.receive_all("in"):
                open("published", "a").close()
            self.yield_ctrl()


class File(Publisher):
    """Writes a file, which it must not in a trial."""

    def process(self, packet):
        open("published", "a").close()


class Told(File):
    """Is told of completed documents."""

    def complete(self, documents):
        pass


class Slow(Transformer):
    """Tries a packet again that says so."""

    max_attempts = 3

    def process(self, packet):
        if packet.get("again"):
            packet.set("again", packet.get("again") - 1)
            raise Retry("not yet")
        return packet


class Batched(Transformer):
    """Takes batches, in place."""

    def process_batch(self, packets):
        for packet in packets:
            packet.set("batch", len(packets))
        return packets


class Held(Transformer):
    """Sends on what it holds, joined."""

    holds = True

    def setup(self):
        self.held = []

    def process(self, packet):
        self.held.append(packet.get("n"))

    def flush(self):
        if self.held:
            self.send("out", Packet({"sum": sum(self.held)}))
            self.held = []


class Both(Transformer):
    """Has two inputs."""

    inputs = {"in": "One", "left": "Another"}

    def process(self, packet):
        packet.set("seen", True)
        return packet


class OldLoop(Component):
    """Passes all it gets, in the original style."""

    __metatype__ = "TRANSFORMER"

    def __init__(self):
        Component.__init__(self)

    def run(self):
        while True:
            for packet in self.receive_all("in"):
                packet.set("old", True)
                self.send("out", packet)
            self.yield_ctrl()


class Wide(Transformer):
    """Works on several packets at once."""

    concurrency = 4

    def process(self, packet):
        return self.offload(lambda: packet)


class Twice(Transformer):
    """Makes two packets of one."""

    def process(self, packet):
        self.send("out", Packet({"n": 1}))
        return Packet({"n": 2})
'''


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts.py").write_text(PARTS)
    return find_components([tmp_path / "parts.py"])


def graph(odd: str = "Odd", file: str = "File") -> Graph:
    return from_obj(
        {
            "pypes": 1,
            "name": "g",
            "nodes": {"in": {"component": "In"}, "odd": {"component": odd}, "file": {"component": file}},
            "wires": [["in.out", "odd.in"], ["odd.out", "file.in"]],
        }
    )


def posts(*documents: dict[str, Any]) -> list[Post]:
    return [Post("application/json", orjson.dumps(document)) for document in documents]


def fields(packets: list[dict[str, Any]]) -> list[Any]:
    return [packet["fields"] for packet in packets]


@pytest.mark.parametrize("file", ["File", "OldFile"])
def test_every_packet_on_its_way_is_seen_and_nothing_published(catalogue: Catalogue, tmp_path: Path, file: str) -> None:
    with Trial(graph(file=file), catalogue) as trial:
        report = trial.run(posts({"n": 1}, {"n": 2, "do": "drop"}, {"n": 3, "do": "raise"}, {"n": 4, "do": "side"}))
    assert (report.published, report.dropped, len(report.failures)) == (1, 2, 1)
    steps = {step.filter: step for step in report.steps}
    assert list(steps) == ["in", "odd", "file"]
    assert [f["n"] for f in fields(steps["in"].taken)] == [f["n"] for f in fields(steps["odd"].taken)] == [1, 2, 3, 4]
    assert fields(steps["odd"].out["out"]) == fields(steps["file"].taken) == [{"n": 1}]
    # nothing leads from the port at the side, so what is sent there ends
    assert steps["odd"].dropped == 2
    assert steps["odd"].error is not None
    assert (steps["odd"].error["code"], "ValueError: no" in steps["odd"].error["traceback"]) == ("component.raised", True)
    assert steps["odd"].ms > 0
    assert not (tmp_path / "published").exists()


def test_packets_have_the_names_that_they_would_be_published_under_and_come_out_alike_each_time(catalogue: Catalogue) -> None:
    with Trial(graph("Twice", "Told"), catalogue) as trial, Trial(graph("Twice", "Told"), catalogue) as other:
        taken, again = (
            {step.filter: step for step in each.run(posts({"id": "d"})).steps}["file"].taken for each in (trial, other)
        )
    assert [(packet["meta"].get("part"), packet["meta"].get("id")) for packet in taken] == [(None, "d"), ("~2", "d/~2")]
    assert [packet["meta"]["run"] for packet in taken + again] == [1] * 4


@pytest.mark.parametrize("file", ["File", "OldFile"])
def test_publishers_publish_where_that_is_asked_for(catalogue: Catalogue, tmp_path: Path, file: str) -> None:
    with Trial(graph(file=file), catalogue, publishes=True) as trial:
        assert trial.run(posts({"n": 1})).published == 1
    assert (tmp_path / "published").exists()


def test_what_a_server_would_refuse_is_refused(catalogue: Catalogue) -> None:
    with Trial(graph(), catalogue) as trial, pytest.raises(BadRequest):
        trial.run([Post("application/json", b"{")])
    with pytest.raises(ComponentError, match="no model") as failed, Trial(graph("Bad"), catalogue):
        pass
    assert failed.value.where == "odd"


def stepped(catalogue: Catalogue, odd: str, *documents: dict[str, Any], file: str = "File") -> dict[str, Step]:
    with Trial(graph(odd, file), catalogue, is_stepped=True) as trial:
        return {step.filter: step for step in trial.run(posts(*documents)).steps}


def test_each_packet_can_be_followed_through_its_filters(catalogue: Catalogue) -> None:
    steps = stepped(catalogue, "Odd", {"n": 1}, {"n": 2, "do": "drop"}, {"n": 3, "do": "raise"}, {"n": 4, "do": "side"})
    odd = steps["odd"]
    # an output without a wire is seen as well
    assert (fields(odd.out["out"]), fields(odd.out["side"])) == ([{"n": 1}], [{"n": 4, "do": "side"}])
    assert odd.origins == [Origin("in", "in", "out", place) for place in range(4)]
    assert steps["file"].origins == [Origin("in", "odd", "out", 0)]
    assert steps["in"].origins == [Origin("in")] * 4
    assert odd.parents == {"out": [0], "side": [3]}
    told = [(call.taken, call.out, call.attempt, call.dropped, call.failed) for call in odd.calls]
    assert told == [
        ([0], {"out": [0]}, 1, 0, False),
        ([1], {}, 1, 1, False),
        ([2], {}, 1, 0, True),
        ([3], {"side": [0]}, 1, 0, False),
    ]
    assert all(call.ms > 0 for call in odd.calls)
    assert [call.at_ms for call in odd.calls] == sorted(call.at_ms for call in odd.calls)
    assert (odd.counts.taken, odd.counts.out, odd.dropped) == (4, {"out": 1, "side": 1}, 1)
    assert odd.error is not None
    assert (odd.error["in"], odd.error["attempts"]) == (2, 1)


def test_a_packet_that_is_tried_again_has_a_call_for_each_attempt(catalogue: Catalogue) -> None:
    odd = stepped(catalogue, "Slow", {"again": 1}, {"again": 9})["odd"]
    calls = sorted((call.taken, call.attempt, call.out, call.failed) for call in odd.calls)
    assert calls == [
        ([0], 1, {}, False),
        ([0], 2, {"out": [0]}, False),
        ([1], 1, {}, False),
        ([1], 2, {}, False),
        ([1], 3, {}, True),
    ]


@pytest.mark.parametrize("kind", ["OldLoop", "Wide", "Twice"])
def test_filters_of_any_style_are_given_packets_one_by_one(catalogue: Catalogue, kind: str) -> None:
    odd = stepped(catalogue, kind, {"n": 1}, {"n": 2}, {"n": 3})["odd"]
    each = 2 if kind == "Twice" else 1
    assert [call.taken for call in odd.calls] == [[0], [1], [2]]
    assert odd.parents == {"out": [place for place in range(3) for _ in range(each)]}


def test_a_batch_stays_one_call_whose_packets_are_known_again(catalogue: Catalogue) -> None:
    obj = to_obj(graph("Twice"))
    obj["nodes"]["batched"] = {"component": "Batched"}
    obj["wires"] = [["in.out", "odd.in"], ["odd.out", "batched.in"], ["batched.out", "file.in"]]
    with Trial(from_obj(obj), catalogue, is_stepped=True) as trial:
        batched = next(step for step in trial.run(posts({})).steps if step.filter == "batched")
    assert [(call.taken, call.out) for call in batched.calls] == [([0, 1], {"out": [0, 1]})]
    assert (batched.parents, fields(batched.out["out"])) == ({"out": [0, 1]}, [{"n": 1, "batch": 2}, {"n": 2, "batch": 2}])


def test_what_was_held_goes_on_in_a_call_that_takes_nothing(catalogue: Catalogue) -> None:
    odd = stepped(catalogue, "Held", {"n": 1}, {"n": 2})["odd"]
    assert fields(odd.out["out"]) == [{"sum": 3}]
    assert (odd.calls[-1].taken, odd.calls[-1].out, odd.parents) == ([], {"out": [0]}, {"out": [None]})


def packet(**fields: Any) -> Post:
    return Post(PACKETS, orjson.dumps({"fields": fields, "meta": {"id": "d"}}), at="odd")


def test_a_packet_enters_at_a_filter_and_what_is_before_it_is_not_set_up(catalogue: Catalogue) -> None:
    bad = from_obj(
        {
            "pypes": 1,
            "name": "g",
            "nodes": {"in": {"component": "In"}, "bad": {"component": "Bad"}, "odd": {"component": "Both"}},
            "wires": [["in.out", "bad.in"], ["bad.out", "odd.in"], ["in.out", "odd.left"]],
        }
    )
    with Trial(bad, catalogue, is_stepped=True, left_out=["in", "bad"], at=["odd"]) as trial:
        [step] = trial.run([packet(n=1)]).steps
    assert (step.filter, fields(step.taken), step.origins) == ("odd", [{"n": 1}], [Origin("in")])
    assert fields(step.out["out"]) == [{"n": 1, "seen": True}]
    assert step.taken[0]["meta"]["id"] == "d"
    with Trial(bad, catalogue, is_stepped=True, left_out=["in", "bad"], at=["odd.left"]) as trial:
        [step] = trial.run([replace(packet(n=1), at="odd.left")]).steps
    assert (step.origins, fields(step.out["out"])) == ([Origin("left")], [{"n": 1, "seen": True}])


def run_apart(job: dict[str, Any]) -> list[Any]:
    with closing(Lifeline()) as lifeline:
        command = [sys.executable, "-m", "pypes.runtime.trials.apart", str(lifeline.fd)]
        done = subprocess.run(command, input=orjson.dumps(job), capture_output=True, check=True, pass_fds=(lifeline.fd,))
        return [orjson.loads(line) for line in done.stdout.splitlines()]


def test_a_trial_in_a_process_of_its_own(catalogue: Catalogue) -> None:
    def post(body: bytes) -> dict[str, str]:
        return {"content_type": "application/json", "body": base64.b64encode(body).decode()}

    job = {
        "graph": to_obj(graph()),
        "components": {name: catalogue[name].to_obj() for name in ("In", "Odd", "File")},
        "post": post(b'{"n": 1}'),
        "record": "one",
    }
    [answer] = run_apart(job)
    assert [step["filter"] for step in answer["steps"]] == ["in", "odd", "file"]
    assert answer["published"] == 1
    assert answer["test"] == {
        "name": "one",
        "post": {"content_type": "application/json", "body": '{"n": 1}'},
        "expect": [{"node": "file", "packets": 1, "fields": {"n": 1}, "exact": True}],
        "dropped": 0,
    }
    assert run_apart({**job, "post": post(b"")})[0]["error"]["code"] == "ingest.empty"
    # what is long is cut
    [large] = run_apart({**job, "post": post(orjson.dumps({"text": "x" * (12 << 20)}))})
    [shown] = large["steps"][2]["in"]
    assert (len(shown["fields"]["text"]), shown["cut"]) == (TEXT_CHARS, {"fields.text": 12 << 20})
    assert (large["test"], large["no_test"]) == (
        None,
        f"the body has {(12 << 20) + 11} bytes; at most {256 << 10} fit into a test",
    )


def test_tests_in_a_process_of_their_own(catalogue: Catalogue) -> None:
    tests = [
        {"name": "passes", "post": {"body": {"n": 1}}, "expect": [{"node": "file", "packets": 1}]},
        {"name": "left out", "post": {"body": "{"}},
        {"name": "fails", "post": {"body": {"do": "raise"}}, "expect": [{"node": "file", "packets": 1}]},
        {
            "name": "enters at a filter",
            "post": {"packet": {"fields": {"n": 1}}, "at": "odd"},
            "expect": [{"node": "file", "packets": 1}],
        },
    ]
    job = {
        "graph": {**to_obj(graph()), "tests": tests},
        "components": {name: catalogue[name].to_obj() for name in ("In", "Odd", "File")},
        "tests": [0, 2, 3],
    }
    passes, fails, enters = run_apart(job)
    assert (passes["name"], passes["passed"], passes["failures"]) == ("passes", True, [])
    assert [(each["filter"], each["text"]) for each in fails["failures"]] == [
        ("file", "0 packets arrive at file, where 1 should"),
        ("odd", "odd fails, and should not: ValueError: no [component.raised]"),
    ]
    assert fields(fails["failures"][1]["received"]) == [{"do": "raise"}]
    assert enters["passed"]


def test_reports_travel_as_json() -> None:
    import msgspec

    report = Report([], 1, 0, [])
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
