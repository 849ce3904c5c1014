"""Instances that die: how soon they are replaced, and what that means for a deployment."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

Until = Callable[..., Any]


def test_a_kill_during_set_up_does_not_fail_the_deployment(node: Any, tmp_path: Path, a_graph: Any) -> None:
    assert node.call("graphs.put", name="g", obj=a_graph(do="die-once", file=str(tmp_path / "died")))["state"] == "live"
    assert (tmp_path / "died").exists()
    assert "killed by SIGKILL" in node.event("instance died")["reason"]


def test_one_that_keeps_dying_is_replaced_ever_more_slowly(node: Any, a_graph: Any, wait_until: Until) -> None:
    node.call("graphs.put", name="g", obj=a_graph())
    for count, delay_s in enumerate([0.0, 0.1, 0.2], 1):
        (pid,) = wait_until(lambda: list(node.instances().values()), "an instance")
        os.kill(pid, signal.SIGKILL)
        assert node.event("instance died", count)["restart_s"] == delay_s
    wait_until(node.instances, "an instance")


def test_after_a_deployment_only_the_new_generation_is_left(node: Any, a_graph: Any, wait_until: Until) -> None:
    for version in range(3):
        node.call("graphs.put", name="g", obj=a_graph(file=str(version)))
    (left,) = wait_until(lambda: len(found := node.call("status")["instances"]) == 1 and found, "one generation")
    assert (left["generation"], left["state"]) == (node.call("status")["generation"], "ready")
    assert [len(list(Path(node.socket).parent.glob(f"i-*.{suffix}"))) for suffix in ("sock", "note")] == [1, 1]
