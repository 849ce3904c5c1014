"""Hot deployment under load: every document is processed wholly by one version, none is lost, none refused.

``PYPES_DEPLOYMENTS`` is how many there are. Each gives two filters the number of its version, every second one wires them the
other way round, too: the first kind changes parameters in place, the second takes new instances. The latencies are printed,
as figures of this machine.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3

from pypes.testing.node import Node, running, until
from tests.faults.publications import publications
from tests.faults.test_restart import Client, Load, assert_exactly_once, loaded

DEPLOYMENTS = int(os.environ.get("PYPES_DEPLOYMENTS", "20"))
SETUP_S = 10

PARTS = '''
import os
import time
from typing import Annotated

from pypes import Help, Parameters, Transformer


class Mark(Transformer):
    """Writes the version it belongs to and where it stands; takes new parameters as it runs."""

    class Params(Parameters):
        field: Annotated[str, Help("Where to write the version.")]
        version: Annotated[int, Help("The version.")]

    def reconfigure(self, params):
        pass

    def process(self, packet):
        packet.set(self.params.field, self.params.version)
        packet.set("path", (packet.get("path") or "") + self.params.field[0])
        return packet


class Wait(Transformer):
    """Lets others run now and then, so that there is something between the marks when parameters change."""

    def process(self, packet):
        if packet.get("id").endswith("7"):
            self.offload(time.sleep, 0.005)
        return packet


class Odd(Transformer):
    """Does at set-up what it is told."""

    class Params(Parameters):
        do: Annotated[str, Help("raise, hang or linger; or once:FILE, to raise from the second time on.")]

    def setup(self):
        do, _, path = self.params.do.partition(":")
        if do == "once":
            try:
                open(path, "x").close()
            except FileExistsError:
                raise RuntimeError("no room") from None
        elif do == "raise":
            raise RuntimeError("no model")
        else:
            time.sleep({"hang": 3600, "linger": 1}[do])

    def process(self, packet):
        return packet
'''


def graph(target: Path, version: int, *, is_turned: bool = False, odd: str = "") -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "json": {"component": "JSON"},
        "first": {"component": "Mark", "params": {"field": "first", "version": version}},
        "last": {"component": "Mark", "params": {"field": "last", "version": version}},
        "wait": {"component": "Wait"},
        "out": {"component": "JSONLines", "params": {"path": str(target)}},
    }
    order = ["json", "last", "wait", "first"] if is_turned else ["json", "first", "wait", "last"]
    if odd:
        nodes["odd"] = {"component": "Odd", "params": {"do": odd}}
        order.append("odd")
    order.append("out")
    wires = [[f"{source}.out", f"{to}.in"] for source, to in pairwise(order)]
    return {"pypes": 1, "name": "hot", "nodes": nodes, "wires": wires}


def turned(version: int) -> bool:
    """Versions go by twos: of each, the first is wired anew and the second has only other parameters."""
    return version // 2 % 2 == 1


class Timed(Client):
    """Notes when each POST began and how long it took, in seconds."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.took: list[tuple[float, float]] = []

    def post(self, ids: list[str]) -> None:
        begin = time.monotonic()
        super().post(ids)
        self.took.append((begin, time.monotonic() - begin))


class Paced(Client):
    """Posts some hundred documents a second, as long as set-ups take: at full speed most of the time goes into that."""

    pause_s = 0.01


class Stubborn(Paced):
    is_stubborn = True


def start(base: Path, **settings: str) -> Any:
    (base / "parts.py").write_text(PARTS)
    flags = ("--load", str(base / "parts.py"))
    environ = {"PYPES_SERVER_SETUP_S": str(SETUP_S), **settings}
    return running(base, graph(base / "out.jsonl", 0), *flags, workers=2, instances=2, environ=environ)


def put(node: Node, obj: dict[str, Any]) -> Any:
    return node.http.request("PUT", f"{node.url}/graphs/hot", body=json.dumps(obj), headers={"Content-Type": "application/json"})


def deploy(node: Node, target: Path, version: int) -> None:
    answer = put(node, graph(target, version, is_turned=turned(version)))
    assert answer.status == 200, answer.data


def documents(target: Path) -> Iterator[dict[str, Any]]:
    for file in target.parent.glob(target.name + "*"):
        for line in file.read_bytes().splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue  # torn by a kill; its delivery is run again
            yield document.get("fields", document)


def assert_wholly_by_one_version(target: Path) -> Counter[int]:
    """Both filters were of one version, wired as in it; returns how many documents each has processed."""
    seen: Counter[int] = Counter()
    for document in documents(target):
        assert document["first"] == document["last"], document
        assert document["path"] == ("lf" if turned(document["first"]) else "fl"), document
        seen[document["first"]] += 1
    return seen


def p99_ms(load: Load, begin: float, end: float) -> float:
    took = sorted(s for client in load.clients for at, s in client.took if begin <= at < end)  # type: ignore[attr-defined]
    return round(took[int(len(took) * 0.99)] * 1000, 1) if took else 0.0


class Deployment(threading.Thread):
    """A PUT that goes on while the test does something else."""

    def __init__(self, node: Node, obj: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.node, self.obj = node, obj
        self.status = 0
        self.answer = b""
        self.start()

    def run(self) -> None:
        try:
            answer = put(self.node, self.obj)
        except urllib3.exceptions.HTTPError as error:
            self.answer = repr(error).encode()
        else:
            self.status, self.answer = answer.status, answer.data

    def switching(self, old: set[int]) -> list[psutil.Process]:
        """Wait until instances of the new version have been started; returns those."""
        new: list[psutil.Process] = until(
            lambda: [p for p in self.node.roles()["instance"] if p.pid not in old], 20, "new instances"
        )
        assert self.is_alive()
        return new


def pids(node: Node) -> set[int]:
    return {process.pid for process in node.roles()["instance"]}


@pytest.mark.timeout(120 + 2 * DEPLOYMENTS)
def test_versions_alternate_under_load(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with start(tmp_path) as node, loaded(node, Timed) as load:
        begin = time.monotonic()
        load.goes_on(2000)
        middle = time.monotonic()
        for version in range(1, DEPLOYMENTS + 1):
            deploy(node, target, version)
            load.goes_on(20)
        end = time.monotonic()
        load.goes_on()
        load.end()
        assert node.stop() == 0
        assert not load.again, "refused"
        assert_exactly_once(target, load)
        seen = assert_wholly_by_one_version(target)
        assert seen.keys() == set(range(DEPLOYMENTS + 1))
        in_place = node.log_path.read_text().count("parameters changed")
        before, during = p99_ms(load, begin, middle), p99_ms(load, middle, end)
        print(  # noqa: T201
            f"{DEPLOYMENTS} deployments, {in_place} of them in place, in {end - middle:.1f} s;"
            f" {len(load.acknowledged)} documents; p99 of a POST {before} ms before, {during} ms during"
        )
        assert in_place == (DEPLOYMENTS + 1) // 2


def test_what_cannot_be_set_up_never_goes_live(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with start(tmp_path) as node, loaded(node, Paced) as load:
        for version, do in enumerate(("raise", "hang"), 1):
            load.goes_on()
            answer = put(node, graph(target, 1000 + version, odd=do))
            assert answer.status == 409, answer.data
            assert answer.json()["where"] == "hot.odd"
            load.goes_on()
            deploy(node, target, version)
        load.goes_on()
        load.end()
        assert node.stop() == 0
        assert not load.again, "refused"
        assert_exactly_once(target, load)
        assert assert_wholly_by_one_version(target).keys() == {0, 1, 2}


@contextmanager
def most_instances(node: Node) -> Iterator[Callable[[], int]]:
    """How many instances there were at most at a time."""
    seen = [0]
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            seen.append(len(node.roles()["instance"]))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield lambda: max(seen)
    finally:
        stop.set()
        thread.join()


def test_where_memory_is_short_instances_are_replaced_one_by_one(tmp_path: Path) -> None:
    """Also back, when one cannot be set up after others could: those had taken deliveries."""
    target = tmp_path / "out.jsonl"
    with start(tmp_path, PYPES_SERVER_ROLLING="yes") as node, loaded(node, Paced) as load, most_instances(node) as most:
        for version in (2, 4):
            load.goes_on()
            deploy(node, target, version)
        for version, do in ((1001, "raise"), (1002, f"once:{tmp_path / 'once'}")):
            load.goes_on()
            answer = put(node, graph(target, version, odd=do, is_turned=turned(version)))
            assert answer.status == 409, answer.data
            assert answer.json()["where"] == "hot.odd"
            until(lambda: len(pids(node)) == 2, 10, "the old ones are back")
        load.goes_on()
        load.end()
        assert node.get("/graphs/hot").json()["version"] == 3
        assert node.stop() == 0
        assert most() == 2
        assert not load.again, "refused"
        assert_exactly_once(target, load)
        assert assert_wholly_by_one_version(target).keys() - {1002} == {0, 2, 4}


def test_instances_killed_in_the_middle_of_a_switch(tmp_path: Path) -> None:
    """One that runs, then one that is being set up: both are replaced, and the switch comes to its end."""
    target = tmp_path / "out.jsonl"
    with start(tmp_path) as node, loaded(node, Paced) as load:
        for version, is_new in ((0, False), (1, True), (4, False), (5, True)):
            load.goes_on()
            old = pids(node)
            deployment = Deployment(node, graph(target, version, odd="linger", is_turned=turned(version)))
            new = deployment.switching(old)
            victim = new[0] if is_new else next(p for p in node.roles()["instance"] if p.pid in old)
            victim.kill()
            deployment.join(30)
            assert deployment.status == 200, deployment.answer
            until(lambda old=old: not pids(node) & old and len(pids(node)) == 2, 30, "the old ones gone")
            deploy(node, target, version)
            until(lambda: len(pids(node)) == 2, 30, "the old ones gone")
        load.goes_on()
        load.end()
        assert node.stop() == 0
        assert not load.again, "refused"
        assert not load.failed, load.failed[:5]
        assert not set(load.acknowledged) - publications(target).keys(), "lost"
        assert_wholly_by_one_version(target)


def test_the_supervisor_killed_in_the_middle_of_a_switch(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with start(tmp_path) as node, loaded(node, Stubborn) as load:
        for version in (1, 4):
            load.goes_on()
            before = node.get("/graphs/hot").json()["version"]
            old = pids(node)
            deployment = Deployment(node, graph(target, version, odd="linger", is_turned=turned(version)))
            deployment.switching(old)
            node.kill()
            until(lambda: not node.leftovers(), 10, "all processes gone")
            deployment.join(30)
            assert deployment.status != 200
            node.start()
            node.wait_ready()
            assert node.get("/graphs/hot").json()["version"] == before
            deploy(node, target, version)
        load.goes_on()
        load.end()
        assert node.stop() == 0
        assert not load.failed, load.failed[:5]
        assert not set(load.acknowledged) - publications(target).keys(), "lost"
        assert_wholly_by_one_version(target)
