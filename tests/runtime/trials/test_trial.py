"""Trials: every packet on its way is seen, and nothing is published."""

from __future__ import annotations

import base64
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from pypes.cli.catalogue import find_components
from pypes.core.lifeline import Lifeline
from pypes.errors import BadRequest, ComponentError
from pypes.graph.cases import Post
from pypes.graph.codec import from_obj
from pypes.graph.model import Graph
from pypes.registry import Catalogue
from pypes.runtime.trials.trial import Report, Trial

PARTS = '''
from pypes import Adapter, Component, Packet, Publisher, Transformer


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


def run_apart(job: dict[str, Any]) -> Any:
    with closing(Lifeline()) as lifeline:
        command = [sys.executable, "-m", "pypes.runtime.trials.trial", str(lifeline.fd)]
        done = subprocess.run(command, input=orjson.dumps(job), capture_output=True, check=True, pass_fds=(lifeline.fd,))
        return orjson.loads(done.stdout)


def test_a_trial_in_a_process_of_its_own(catalogue: Catalogue) -> None:
    from pypes.graph.codec import to_obj

    job = {
        "graph": to_obj(graph()),
        "components": {name: catalogue[name].to_obj() for name in ("In", "Odd", "File")},
        "posts": [{"content_type": "application/json", "body": "eyJuIjoxfQ=="}],
    }
    answer = run_apart(job)
    assert [step["filter"] for step in answer["steps"]] == ["in", "odd", "file"]
    assert answer["published"] == 1
    broken = {**job, "posts": [{"content_type": "application/json", "body": ""}]}
    assert run_apart(broken)["error"]["code"] == "ingest.empty"
    # what is shown at three places of the graph is too much, the document itself is not
    large = base64.b64encode(orjson.dumps({"text": "x" * (12 << 20)})).decode()
    error = run_apart({**job, "posts": [{"content_type": "application/json", "body": large}]})["error"]
    assert (error["code"], error["where"]) == ("dryrun.too_large", "g")


def test_reports_travel_as_json() -> None:
    import msgspec

    report = Report([], 1, 0, [])
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
