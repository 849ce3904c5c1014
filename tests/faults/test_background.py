"""Background work that fails in a real process: that is logged with its cause, and another process takes its place."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3

from pypes.testing.node import Node, running, until

#: Every Python process of the node reads names from a pipe, and has the task or thread of that name raise an exception.
INJECTION = """
import asyncio, ctypes, os, threading

class Injected(RuntimeError):
    pass

def raise_in(task):
    waits_for = task._fut_waiter
    if waits_for is None:
        task.get_loop().call_soon(raise_in, task)
    elif not waits_for.done():
        waits_for.set_exception(Injected("for a test"))

def inject(name):
    tasks = getattr(asyncio.tasks, "_all_tasks", None)
    for task in list(asyncio.tasks._scheduled_tasks if tasks is None else tasks):
        if task.get_name() == name and not task.done():
            task.get_loop().call_soon_threadsafe(raise_in, task)
    for thread in threading.enumerate():
        if thread.name == name:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Injected))

def listen():
    path = os.path.join(os.environ["PYPES_TEST_INJECTION"], str(os.getpid()))
    os.mkfifo(path)
    while True:
        with open(path) as pipe:
            for line in pipe:
                inject(line.strip())

def start():
    threading.Thread(target=listen, daemon=True).start()

start()
os.register_at_fork(after_in_child=start)
"""
GRAPH = {
    "pypes": 1,
    "name": "base",
    "nodes": {"json": {"component": "JSON"}, "null": {"component": "Null"}},
    "wires": [["json.out", "null.in"]],
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    (tmp_path / "injected").mkdir()
    (tmp_path / "pipes").mkdir()
    (tmp_path / "injected" / "sitecustomize.py").write_text(INJECTION)
    environ = {
        "PYTHONPATH": str(tmp_path / "injected"),
        "PYPES_TEST_INJECTION": str(tmp_path / "pipes"),
        "PYPES_LOG_FORMAT": "json",
        "PYPES_LIMITS_GRACE_S": "5",
    }
    with running(tmp_path, GRAPH, workers=1, instances=1, environ=environ) as node:
        yield node


def inject(node: Node, process: psutil.Process, name: str) -> None:
    pipe = node.base / "pipes" / str(process.pid)
    until(pipe.exists, 10, "it listens")
    pipe.write_text(f"{name}\n")


def inject_again(node: Node, process: psutil.Process, name: str) -> None:
    """Inject without waiting for a process that may have ended."""
    with suppress(OSError):
        pipe = os.open(node.base / "pipes" / str(process.pid), os.O_WRONLY | os.O_NONBLOCK)
        with suppress(OSError):
            os.write(pipe, f"{name}\n".encode())
        os.close(pipe)


def causes(node: Node) -> dict[str, str]:
    """What the log has of work that failed: name → traceback."""
    lines = [json.loads(line) for line in node.log_path.read_text().splitlines() if line.startswith("{")]
    return {line["work"]: line["exception"] for line in lines if line["event"] == "background work failed"}


def documents_are_done(node: Node) -> None:
    def taken() -> Any:
        with suppress(urllib3.exceptions.HTTPError):
            answer = node.post(b"{}")
            return answer if answer.status == 202 else None

    receipt = until(taken, 20, "it takes documents").json()["receipt"]
    until(lambda: node.get(f"/receipts/{receipt}?wait=10").json().get("state") == "done", 20, "the document is done")


def another(node: Node, role: str, old: psutil.Process, name: str) -> bool:
    """Whether another process has taken the place of ``old``, whose work of this name is to fail.

    A thread raises what was set in it when it next runs, so it is given work again until it has: whether that
    document is taken, nobody can tell. If it was in the middle of a commit, only that commit fails, as one that the disk refuses,
    and the thread lives on: so it is set again.
    """
    if name.startswith("pypes-"):
        with suppress(urllib3.exceptions.HTTPError):
            node.post(b"{}")
        inject_again(node, old, name)
    now = node.roles()[role]
    return bool(now) and now[0].pid != old.pid


def replaced(node: Node, role: str, name: str) -> None:
    """Have work fail, and see that another process takes the place of its own, and does everything."""
    (old,) = node.roles()[role]
    inject(node, old, name)
    until(lambda: another(node, role, old, name), 20, f"another {role} after {name!r}")
    assert "Injected" in causes(node)[name]
    documents_are_done(node)
    assert node.get("/graphs").status == 200


def test_a_process_is_replaced_when_work_in_it_fails(node: Node) -> None:
    documents_are_done(node)
    for name in ("control connection", "callbacks", "pypes-commit-0"):
        replaced(node, "worker", name)
    replaced(node, "instance", "watchdog")
    until(lambda: node.get("/readyz").status == 200, 20, "ready")
    assert node.stop() == 0


@pytest.mark.parametrize("name", ["schedules", "graph files"])
def test_the_node_stops_in_order_when_work_of_the_supervisor_fails(node: Node, name: str) -> None:
    documents_are_done(node)
    assert node.process is not None
    (supervisor,) = node.roles()["supervisor"]
    inject(node, supervisor, name)
    assert node.process.wait(30) == 1
    until(lambda: not node.leftovers(), 10, "nothing is left of it")
    assert "Injected" in causes(node)[name]
    assert f"a bug in it ({name})" in node.log()
    node.start()
    node.wait_ready()
    documents_are_done(node)
