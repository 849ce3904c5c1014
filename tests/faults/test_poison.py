"""Documents that hang or kill what they run in, on a real node: exactly they fail, and their neighbours are published."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, running, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and signals as Linux has them")

PARTS = '''
import ctypes
import json
import os
import re
import resource
import signal
import sys
import time
from typing import Annotated

from pypes import Adapter, Help, Parameters, Publisher, Transformer


class In(Adapter):
    """Takes anything."""

    accepts = ("application/json",)

    def process(self, packet):
        return packet


class Hostile(Transformer):
    """Does what the document says."""

    def process(self, packet):
        do = packet.get("do")
        if do is not None:
            getattr(self, do.replace("-", "_"))(packet)
        return packet

    def loop(self, packet):
        while True:
            pass

    def sleep(self, packet):
        time.sleep(600)

    def regex(self, packet):
        re.match("(a+)+$", "a" * 60 + "b")

    def offload_sleep(self, packet):
        self.offload(time.sleep, 600)

    def segfault(self, packet):
        ctypes.string_at(0)

    def abort(self, packet):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.abort()

    def exit(self, packet):
        os._exit(3)

    def sys_exit(self, packet):
        sys.exit(4)

    def memory(self, packet):
        kept = [b"x" * (1 << 20) for _ in range(1 << 14)]

    def resident(self, packet):
        # shared pages are no data: only the watchdog sees them
        import mmap
        shared = mmap.mmap(-1, 400 << 20)
        for start in range(0, 400 << 20, 1 << 12):
            shared[start] = 1
            if start % (1 << 23) == 0:
                time.sleep(0.005)
        time.sleep(600)

    def stack(self, packet):
        nest = packet
        for _ in range(1 << 16):
            nest = [nest]
        json.dumps(nest)

    def c_stack(self, packet):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        recurse = ctypes.CFUNCTYPE(None)(lambda: recurse())
        sys.setrecursionlimit(1 << 30)
        recurse()

    def wait(self, packet):
        open(packet.get("path") + ".begun", "a").close()
        while not os.path.exists(packet.get("path")):
            time.sleep(0.002)


class Slow(Publisher):
    """Appends field ``n`` to a file, one line at a time, like one that cannot take it back."""

    class Params(Parameters):
        file: Annotated[str, Help("Where to write.")]

    def process(self, packet):
        with open(self.params.file, "a") as file:
            file.write(f"{packet.get('n')}\\n")
'''

#: What a document does, its cause in the dead letter, and whether the instance dies of it.
POISONS = {
    "loop": "not done after 1 s in filter hostile",
    "sleep": "not done after 1 s in filter hostile",
    "regex": "not done after 1 s in filter hostile",
    "offload-sleep": "not done after 1 s in filter hostile",
    "segfault": "killed by SIGSEGV in filter hostile",
    "abort": "killed by SIGABRT in filter hostile",
    "exit": "exited with status 3 in filter hostile",
    "c-stack": "killed by SIGSEGV in filter hostile",
    "resident": "over 256 MiB of memory in filter hostile",
}
#: What fails like any other document, without a death.
FAILURES = {"memory": "MemoryError", "stack": "RecursionError", "sys-exit": "SystemExit"}


def graph(folder: Path, timeout_s: float = 1.0) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": "g",
        "nodes": {
            "in": {"component": "In"},
            "hostile": {"component": "Hostile", "timeout_s": timeout_s},
            "early": {"component": "Slow", "params": {"file": str(folder / "early")}},
            "late": {"component": "Slow", "params": {"file": str(folder / "late")}},
        },
        "wires": [["in.out", "early.in"], ["in.out", "hostile.in"], ["hostile.out", "late.in"]],
    }


@pytest.fixture
def node(tmp_path: Path, _environment: None) -> Iterator[Node]:
    with node_in(tmp_path) as running_node:
        yield running_node


def node_in(folder: Path, timeout_s: float = 1.0) -> AbstractContextManager[Node]:
    parts = folder / "parts.py"
    parts.write_text(PARTS)
    return running(folder, graph(folder, timeout_s), "--load", str(parts), workers=1, instances=1)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPES_SERVER_MAX_MEMORY_BYTES", str(256 << 20))


def post(node: Node, values: list[Any]) -> str:
    body = b"\n".join(json.dumps(value).encode() for value in values)
    answer = node.post(body, content_type="application/x-ndjson")
    assert answer.status == 202, answer.data
    return str(json.loads(answer.data)["receipt"])


def finished(node: Node, receipt: str) -> dict[str, Any]:
    def look() -> Any:
        found = json.loads(node.get(f"/receipts/{receipt}").data)
        return found if found["state"] in ("done", "failed") else None

    found: dict[str, Any] = until(look, 20.0, f"finished: {receipt}\n{node.log()}")
    return found


def letters(node: Node) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(node.get("/deadletters").data)["deadletters"]
    return found


def published(folder: Path, name: str) -> Counter[int]:
    path = folder / name
    return Counter(int(line) for line in path.read_text().splitlines()) if path.exists() else Counter()


@pytest.mark.parametrize("poison", POISONS)
def test_one_document_of_a_batch_costs_exactly_itself(tmp_path: Path, poison: str) -> None:
    # on a busy machine, what takes memory takes more than a second
    with node_in(tmp_path, timeout_s=1.0 if "after 1 s" in POISONS[poison] else 60.0) as node:
        receipt = post(node, [{"n": n} if n != 7 else {"n": n, "do": poison} for n in range(20)])
        found = finished(node, receipt)
        assert (found["state"], found["published"], found["failed"]) == ("failed", 19, 1), letters(node)
        [letter] = letters(node)
        assert (letter["code"], letter["filter"], letter["error"]) == ("instance.killed", "hostile", POISONS[poison])
        packet = json.loads(node.get(f"/deadletters/{letter['id']}").data)["packet"]
        assert packet["fields"] == {"n": 7, "do": poison}
        assert published(tmp_path, "late") == Counter(n for n in range(20) if n != 7)
        # what it has committed it is not given again, however often the others ran
        assert max(published(tmp_path, "early").values()) == 1
        # the node serves on
        assert finished(node, post(node, [{"n": 100}]))["state"] == "done"


@pytest.mark.parametrize("poison", ["loop", "segfault"])
def test_a_single_document_among_others_costs_exactly_itself(node: Node, tmp_path: Path, poison: str) -> None:
    receipts = [post(node, [{"n": n} if n != 3 else {"n": n, "do": poison}]) for n in range(8)]
    states = [finished(node, receipt)["state"] for receipt in receipts]
    assert states == ["failed" if n == 3 else "done" for n in range(8)]
    assert [letter["error"] for letter in letters(node)] == [POISONS[poison]]
    assert published(tmp_path, "late").keys() == {0, 1, 2, 4, 5, 6, 7}


@pytest.mark.parametrize("failure", FAILURES)
def test_what_python_can_report_fails_one_packet_and_the_instance_lives(tmp_path: Path, failure: str) -> None:
    # nothing hangs here: on a busy machine a limit of 1 s would be another cause
    with node_in(tmp_path, timeout_s=60.0) as node:
        pids = {process.pid for process in node.roles()["instance"]}
        found = finished(node, post(node, [{"n": n} if n != 2 else {"n": n, "do": failure} for n in range(5)]))
        assert (found["published"], found["failed"]) == (4, 1)
        [letter] = letters(node)
        assert FAILURES[failure] in letter["error"]
        assert {process.pid for process in node.roles()["instance"]} == pids


def test_several_in_a_row_do_not_slow_down_the_next_start(node: Node, tmp_path: Path) -> None:
    values = [{"n": n, **({"do": "segfault"} if n % 5 == 0 else {})} for n in range(20)]
    found = finished(node, post(node, values))
    assert (found["published"], found["failed"]) == (16, 4)
    assert published(tmp_path, "late") == Counter(n for n in range(20) if n % 5)
    delays_s = [event["restart_s"] for event in events(node) if event["event"] == "instance died"]
    assert len(delays_s) >= 4
    assert max(delays_s) < 2


def events(node: Node) -> list[dict[str, Any]]:
    return [json.loads(line) for line in node.log_path.read_text().splitlines() if line.startswith("{")]


def test_kills_from_outside_dead_letter_nothing(tmp_path: Path) -> None:
    """SIGKILL while a delivery runs alone says nothing about it, however often."""
    with node_in(tmp_path, timeout_s=60.0) as node:
        go = tmp_path / "go"
        receipt = post(node, [{"n": 0}, {"n": 1, "do": "wait", "path": str(go)}, {"n": 2}])
        begun = Path(f"{go}.begun")
        for _ in range(4):
            until(begun.exists, 10.0, f"the document is at work\n{node.log()}")
            begun.unlink()
            [instance] = node.roles()["instance"]
            instance.send_signal(signal.SIGKILL)
            until(lambda pid=instance.pid: pid not in {p.pid for p in node.roles()["instance"]}, 10.0, "dead")
        go.touch()
        found = finished(node, receipt)
        assert (found["state"], found["published"]) == ("done", 3)
        assert letters(node) == []


def test_a_process_that_is_stopped_for_longer_than_its_time_is_not_one_that_hangs(tmp_path: Path) -> None:
    with node_in(tmp_path, timeout_s=1.5) as node:
        go = tmp_path / "go"
        receipt = post(node, [{"n": 1, "do": "wait", "path": str(go)}])
        until(Path(f"{go}.begun").exists, 10.0, "the document is at work")
        [instance] = node.roles()["instance"]
        instance.send_signal(signal.SIGSTOP)
        threading.Event().wait(3.5)
        instance.send_signal(signal.SIGCONT)
        go.touch()
        assert finished(node, receipt)["state"] == "done"
        assert letters(node) == []
        assert [process.pid for process in node.roles()["instance"]] == [instance.pid]
