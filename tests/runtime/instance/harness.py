"""Real instance processes on real sockets, and the dispatcher that they serve."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pypes.core.limits import Limits
from pypes.graph.spec import ComponentSpec
from pypes.ingest.delivery import Header
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.outcome import ExitReason
from pypes.ingest.receipt import Receipt
from pypes.observe.tallies import Tallies
from pypes.runtime.instance.crash_record import CrashRecord, exit_reason_of
from pypes.runtime.instance.spec import InstanceSpec
from tests.ingest.memory.queue import MemoryQueue

WAIT_S = 20.0

PARTS = '''
import os
import resource
import time
from typing import Annotated

import orjson

from pypes.component import Adapter, Component, Operator, Publisher
from pypes.component.parameters import Help, Parameters


class In(Adapter):
    accepts = ("application/json", "application/vnd.pypes.packets+json")

    def process(self, packet):
        if packet.get("do") == "die":
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.abort()
        if packet.get("do") == "wait":
            path = packet.get("path")
            open(path + ".begun", "a").close()
            while not os.path.exists(path):
                time.sleep(0.002)
        if packet.get("do") == "count":
            self.count("pages", 2)
        if packet.get("do") == "raise":
            raise ValueError("as it was told")
        return None if packet.get("do") == "drop" else packet


class Bytes(Adapter):
    accepts = ("text/*",)

    def process(self, packet):
        with packet.open("data") as body:
            packet.set("size", len(body.read()))
        packet.delete("data")
        return packet


class Old(Adapter):
    """In the original style."""

    accepts = ("application/x-old+json",)

    def run(self):
        while True:
            for packet in self.receive_all("in"):
                packet.set("text", packet.get("data").decode())
                packet.delete("data")
                self.send("out", packet)
            self.yield_ctrl()


class Hold(Operator):
    holds = True
    max_hold_s = 600.0

    def process(self, packet):
        self.held = getattr(self, "held", [])
        self.held.append(packet)
        open(os.environ["OUT_FOLDER"] + "/held", "a").close()

    def flush(self):
        held, self.held = self.held, []
        return held


class Out(Publisher):
    class Params(Parameters):
        path: Annotated[str, Help("File to append to.")]

    def setup(self):
        self.file = open(self.params.path, "ab", buffering=0)

    def process(self, packet):
        fields = packet.to_json()["fields"]
        self.file.write(orjson.dumps([fields, packet.get_metas()[0]]) + b"\\n")

    def teardown(self):
        self.file.close()


class Away(Publisher):
    """Its destination cannot be reached."""

    def process(self, packet):
        open(os.environ["OUT_FOLDER"] + "/tried", "a").close()
        raise ConnectionError("nobody listens")


class Bad(Publisher):
    def setup(self):
        raise RuntimeError("no disk today")


class Promise(Publisher):
    async def setup(self):
        raise AssertionError("nobody runs it")
'''

#: What the process runs: the specification comes as the first message of the control pipe.
PROGRAM = """
import sys
from multiprocessing.connection import Connection
from pypes.core.signals import leave_to_owner
from pypes.runtime.instance.instance import main
leave_to_owner()
control = Connection(int(sys.argv[1]))
main(control.recv(), control, None)
"""


class Process:
    """An instance process and the supervisor's end of its control pipe."""

    def __init__(self, spec: InstanceSpec, program: str = PROGRAM, fds: Sequence[int] = ()) -> None:
        ours, theirs = socket.socketpair()
        self.spec = spec
        CrashRecord.create(spec.crash_record)
        if spec.tallies:
            Tallies.create(spec.tallies)
            Tallies.create(spec.times)
        fds = (theirs.fileno(), *fds)
        self.process = subprocess.Popen([sys.executable, "-c", program, *map(str, fds)], pass_fds=fds)
        theirs.close()
        self.control = Connection(ours.detach())
        self.control.send(spec)

    def hear(self, kind: str) -> Any:
        """Wait for a message of that kind."""
        while True:
            assert self.control.poll(WAIT_S), f"the instance never said {kind}"
            message = self.control.recv()
            if message[0] == kind:
                return message

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def exit_reason(self) -> ExitReason:
        """Of what it died, once it has."""
        return exit_reason_of(self.process.wait(WAIT_S), CrashRecord(self.spec.crash_record).read())

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self.control.close()


class Stage:
    """A dispatcher with an in-memory queue, instances as the test starts them, and the part of the supervisor."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self.limits = limits
        self.queue = MemoryQueue(limits=limits)
        self.processes: dict[int, Process] = {}
        self.lost: list[int] = []
        self.exit_reasons: list[ExitReason] = []
        self.last_id = 0
        self.restarts = False
        self.hold = False
        self.publisher = "Out"
        self.is_ordered = False
        self.dispatcher = Dispatcher(limits, self.on_lost)
        self.dispatcher.add(self.queue)
        #: Dispatchers of other workers, told the same.
        self.others: list[Dispatcher] = []

    def start(self) -> Process:
        """Start one more instance; it is announced once it is ready."""
        self.last_id += 1
        process = self.processes[self.last_id] = Process(
            spec_of(self.folder, self.last_id, self.limits, hold=self.hold, publisher=self.publisher, is_ordered=self.is_ordered)
        )
        process.hear("ready")
        self.announce()
        return process

    def announce(self) -> None:
        sockets = {id: process.spec.socket for id, process in self.processes.items()}
        for dispatcher in (self.dispatcher, *self.others):
            dispatcher.apply(Topology(instances=sockets, graphs={"g": 1}, ordered=frozenset(["g"] if self.is_ordered else [])))

    def on_lost(self, id: int) -> None:
        """As the supervisor does: kill, reap, say that it is gone, start another one."""
        self.lost.append(id)
        process = self.processes.pop(id, None)
        if process is None:
            return  # it was told to stop
        process.kill()
        process.close()
        self.exit_reasons.append(process.exit_reason())
        for dispatcher in (self.dispatcher, *self.others):
            dispatcher.gone(id, self.exit_reasons[-1])
        self.announce()
        if self.restarts:
            self.start()

    async def post(self, fields: Any, content_type: str = "application/json", **header: Any) -> str:
        body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        return await self.queue.intake.append(Header("g", content_type=content_type, length=len(body), **header), body)

    async def receipt(self, id: str) -> Receipt:
        found = await self.queue.receipts.wait(id, WAIT_S)
        assert found is not None
        assert found.finished, f"not finished in time: {found}"
        return found

    def published(self) -> list[Any]:
        return [json.loads(line) for line in (self.folder / "out").read_bytes().splitlines()]


def spec_of(
    folder: Path, id: int, limits: Limits, *, hold: bool = False, publisher: str = "Out", is_ordered: bool = False
) -> InstanceSpec:
    parts = folder / "parts.py"
    parts.write_text(PARTS)
    middle = ["hold"] if hold else []
    nodes: dict[str, Any] = {
        "in": {"component": "In"},
        "bytes": {"component": "Bytes"},
        "old": {"component": "Old"},
        **({"hold": {"component": "Hold"}} if hold else {}),
        "out": {"component": publisher, "params": {"path": "${OUT_FOLDER}/out"} if publisher == "Out" else {}},
    }
    after = middle[0] if middle else "out"
    wires = [["in.out", f"{after}.in"], ["bytes.out", f"{after}.in"], ["old.out", f"{after}.in"]]
    if middle:
        wires.append(["hold.out", "out.in"])
    graph = {"pypes": 1, "name": "g", "nodes": nodes, "wires": wires, **({"order_by": "id"} if is_ordered else {})}
    os.environ["OUT_FOLDER"] = str(folder)
    return InstanceSpec(
        id=id,
        generation=1,
        socket=str(folder / f"i-{id}.sock"),
        graphs={"g": (1, graph)},
        components={
            name: ComponentSpec(name=name, module=str(parts), attr=name).to_obj()
            for name in ("In", "Bytes", "Old", "Hold", "Out", "Away", "Bad", "Promise")
        },
        limits=limits,
        crash_record=str(folder / f"i-{id}.note"),
        tallies=str(folder / f"i-{id}.tally"),
    )


Test = Callable[[Stage], Coroutine[None, None, None]]


def staged(**limits: Any) -> Callable[[Test], Callable[[Path], None]]:
    """Run an async test on a stage of its own; all its processes are ended with it."""

    def decorate(test: Test) -> Callable[[Path], None]:
        def wrapped(tmp_path: Path) -> None:
            async def play() -> None:
                stage = Stage(tmp_path, Limits(**limits))
                try:
                    await test(stage)
                finally:
                    stage.dispatcher.close()
                    for process in stage.processes.values():
                        process.close()
                    await stage.queue.close()

            asyncio.run(play())

        wrapped.__name__ = test.__name__
        wrapped.__doc__ = test.__doc__
        return wrapped

    return decorate


async def until(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not predicate():  # noqa: ASYNC110 - it is another process that makes it true
            await asyncio.sleep(0.001)
