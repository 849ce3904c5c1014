"""Every line that the runtime logs about a graph, a filter or a delivery says so, under the same names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[2] / "pypes"

#: The names of a line for one of them, and for several. A receipt may be a list of receipts.
NAMES = {"graph": "graphs", "filter": "filters", "receipt": "receipt"}

#: Other names for the same, which nobody would look for.
OTHERS = {"graph_name", "filter_name", "packet_receipt", "receipts", "delivery", "lease", "source", "node"}

#: Rooms that log for whoever runs a script, or nothing.
APART = ("cli", "compat", "pipeline", "templates", "testing")

METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
METHOD = re.compile(rf"\.(?:{'|'.join(METHODS)})\b")

#: Lines about no graph, filter or delivery, by module: about a process, a shard, the disk, the clock, a connection.
NODE: dict[str, tuple[str, ...]] = {
    "access/issuing.py": ("token revoked",),
    "api/operation.py": ("change refused",),
    "api/door.py": ("too few file descriptors", "too many connections"),
    "api/encrypted.py": ("TLS failed",),
    "api/problems.py": ("request failed",),
    "api/protocol.py": ("not a valid HTTP request",),
    "api/server.py": ("ignored",),
    "api/worker.py": ("ingest worker cannot start",),
    "core/watched.py": ("background work failed",),
    "ingest/dispatch/links.py": ("instance cannot be reached yet",),
    "ingest/queues/committer.py": ("spool files could not be removed", "the store of the queue"),
    "ingest/queues/embedded.py": ("a part of the queue is damaged", "the log of the queue ends in frames"),
    "ingest/queues/prefetched.py": ("the queue cannot be reached",),
    "ingest/queues/refill.py": ("waiting deliveries cannot be read",),
    "ingest/queues/retention.py": ("old receipts could not be folded", "receipts are damaged", "receipts are forgotten"),
    "ingest/store/ledger.py": ("receipts are left out of a list",),
    "ingest/store/search.py": ("receipts are left out of a search",),
    "logs.py": ("a thread failed", "the last lines of this process"),
    "observe/gathering.py": ("what a process counts cannot be read",),
    "observe/guard.py": ("%s raised in %s and is switched off",),
    "observe/tallies.py": ("series of %s and others are not counted",),
    "placement/pool_worker.py": ("closing the work of a pool failed",),
    "placement/process_executor.py": ("an answer of a pool worker cannot be read",),
    "placement/thread_executor.py": ("closing the work of a pool failed",),
    "runtime/fleet/handing.py": ("the node that has the shards",),
    "runtime/fleet/membership.py": ("member of the fleet", "the members are as they were known last"),
    "runtime/graphs/composites.py": ("composite deleted", "composite file not kept", "composite kept"),
    "runtime/instance/instance.py": ("instance failed",),
    "runtime/pools/keeper_server.py": ("a connection to a pool cannot be taken",),
    "runtime/rpc/transport.py": ("control call failed",),
    "runtime/supervisor/arbiter.py": ("gunicorn",),
    "runtime/supervisor/auditing.py": ("old lines of the audit log",),
    "runtime/supervisor/clockkeeper.py": ("message", "the node's time", "the wall clock"),
    "runtime/supervisor/draining.py": ("handed over", "nothing was handed over"),
    "runtime/supervisor/schedules.py": ("schedules cannot be checked",),
    "runtime/supervisor/starting.py": ("the disk may become too small", "tokens and documents travel in the clear"),
    "runtime/supervisor/supervisor.py": (
        *("starting", "not ready", "stopping", "stopped", "draining failed", "deliveries stay queued"),
        *("components cannot be used", "a load file replaces", "reload failed", "setting not changed"),
        "the node was killed",
    ),
    "runtime/supervisor/watching.py": ("f'graph files cannot be",),
    "runtime/supervisor/workers.py": (
        "rolling stopped",
        "worker ready",
        "worker rolled",
        "the certificate",
        "the new certificate",
    ),
    "runtime/worker/callbacks.py": ("callbacks cannot be read",),
    "runtime/worker/exposing.py": ("what this process counts is not shown",),
    "runtime/worker/exporting.py": ("the metrics cannot be read to be sent",),
    "runtime/worker/sources.py": ("interrupted runs of sources",),
    "runtime/worker/worker.py": ("the connection to the supervisor is lost",),
}


class Call(NamedTuple):
    """A call that logs: its event, the names that it gives and those in its reach; ``is_open`` if others come from elsewhere."""

    module: str
    line: int
    event: str
    given: frozenset[str]
    is_open: bool
    reach: frozenset[str]
    is_component: bool


def calls() -> Iterator[Call]:
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).as_posix()
        if module.split("/")[0] not in APART:
            text = path.read_text(encoding="utf-8")
            lines = {number for number, line in enumerate(text.splitlines(), 1) if METHOD.search(line)}
            if lines:
                yield from _calls(module, ast.parse(text), frozenset(), lines)


def _calls(module: str, tree: ast.AST, reach: frozenset[str], lines: Set[int]) -> Iterator[Call]:
    """Calls in ``tree``; only ``lines`` can hold any, and every process of the tests looks at all modules."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt | ast.expr) and lines.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1)):
            continue
        inside = reach
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside = reach | {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
            inside |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            logger = ast.unparse(node.func.value)
            if logger.split(".")[-1] in ("log", "_log") or "getLogger" in logger:
                yield _call(module, node, logger, inside)
        yield from _calls(module, node, inside, lines)


def _call(module: str, node: ast.Call, logger: str, reach: frozenset[str]) -> Call:
    assert isinstance(node.func, ast.Attribute)
    event = node.args[1 if node.func.attr == "log" else 0]
    given: set[str] = set()
    is_open = False
    for keyword in node.keywords:
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
            given |= {str(key.value) for key in keyword.value.keys if isinstance(key, ast.Constant)}
            is_open |= None in keyword.value.keys
        elif keyword.arg in ("extra", None):
            is_open = True
        elif keyword.arg != "exc_info":
            given.add(keyword.arg)
    text = str(event.value) if isinstance(event, ast.Constant) else ast.unparse(event)
    is_component = logger.endswith("component.log") or module in ("component/shared.py", "outbox/file.py")
    return Call(module, node.lineno, text, frozenset(given), is_open, reach, is_component)


CALLS = [*calls()]


def test_there_are_calls_of_every_kind() -> None:
    assert len(CALLS) > 80
    assert any(call.is_component for call in CALLS)
    assert any(call.is_open for call in CALLS)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.module}:{call.event[:40]}")
def test_a_line_says_what_it_is_about(call: Call) -> None:
    assert not call.given & OTHERS, f"{call}: graph, filter and receipt are the names"
    if call.is_component:
        return  # its log binds them: pypes.component.context
    if call.event.startswith(NODE.get(call.module, ())):
        assert not call.given & {*NAMES, *NAMES.values()}, f"{call}: is about something after all; take it from the list"
        return
    assert call.is_open or call.given & {"graph", "graphs", "receipt"}, f"{call}: give what it is about, or list it here"
    for name, several in NAMES.items():
        if name in call.reach and not call.is_open:
            assert call.given & {name, several}, f"{call}: {name} is at hand"


def test_lines_of_the_node_are_there() -> None:
    for module, beginnings in NODE.items():
        for beginning in beginnings:
            assert any(call.module == module and call.event.startswith(beginning) for call in CALLS), (module, beginning)
