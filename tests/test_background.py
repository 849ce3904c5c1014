"""Nothing runs in the background unwatched: who starts a task or a thread otherwise is listed here, and waits for it."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "pypes"

#: Calls that start what somebody has to look after.
STARTS = {"create_task", "ensure_future", "Thread", "start_new_thread"}

#: Modules that start some and await every one themselves, or look at how it ended.
AWAITED = {
    "api/page.py": "one look at the node for all who ask at once; its error is told to each of them",
    "api/receipts.py": "found, and the end of the server, whichever is first",
    "api/streaming.py": "the client's hanging up, and the end of the server, whichever is first",
    "api/short_path.py": "the answer of another worker; what it raises is answered",
    "api/trials.py": "the answer, and the client's hanging up",
    "api/worker.py": "the heartbeat: gunicorn misses it",
    "cli/run.py": "the input, whose end and errors are looked at",
    "cli/running/children.py": "threads that hand their errors to the one that tells the user",
    "cli/running/interruption.py": "the end of the command after an interruption",
    "core/lifeline.py": "the thread whose end, of whatever, ends the process",
    "core/watched.py": "the mechanism itself",
    "core/watched_tasks.py": "the mechanism itself",
    "placement/keeper.py": "the ends of pool workers, waited for together",
    "placement/thread_executor.py": "pool workers, which hand their errors to whoever sets them up or submits to them",
    "pipeline/bucket.py": "the thread of a feed, which hands on what that raises",
    "pipeline/inflow.py": "the reader of an iterator, which hands on what that raises",
    "pipeline/pool.py": "the end of a pool that nobody has any more, which nobody waits for",
    "pipeline/run.py": "a run in the background, whose error its user is told",
    "runtime/fleet/agreement.py": "members that prepare a change, awaited by whoever coordinates it",
    "runtime/generations/parting.py": "the ends of instances, waited for together",
    "runtime/graphs/deployer.py": "other members, awaited beside the own set-up",
    "runtime/graphs/disposable.py": "the end of a process, awaited by whoever ends it",
    "runtime/pools/node_pools.py": "the set-up of a pool, awaited by the deployments that hold it",
    "runtime/supervisor/control.py": "an answer, and the end of the server, whichever is first",
    "runtime/supervisor/supervisor.py": "start and stop, drain and hurry",
    "runtime/worker/cursors.py": "what must be through even if the run is cancelled",
    "runtime/worker/answering.py": "appends of other nodes, which are all under way before one is waited for",
    "runtime/worker/members.py": "a link to a node that several callers wait for",
    "runtime/worker/peers.py": "a connection that several callers wait for",
    "runtime/worker/searching.py": "the set-up of the process that searches, awaited by whoever asks",
    "runtime/worker/sources.py": "runs whose end is logged; they can be triggered again",
    "runtime/worker/together.py": "runs of sources that end together",
}


def starters() -> set[str]:
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        if "templates" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in STARTS:
                    found.add(path.relative_to(PACKAGE).as_posix())
    return found


def test_whoever_starts_something_is_known() -> None:
    assert starters() == set(AWAITED)
