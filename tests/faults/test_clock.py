"""A real node whose wall clock jumps a day ahead and back, and eight days ahead and back: nothing is silent, lost or aged."""

from __future__ import annotations

import json
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from pypes.testing.clock import WallClock
from pypes.testing.node import Node, running, until

DAY_S = 86_400.0

POSTED = {
    "pypes": 1,
    "name": "posted",
    "nodes": {"json": {"component": "JSON"}, "out": {"component": "JSONLines", "params": {"path": "out.jsonl"}}},
    "wires": [["json.out", "out.in"]],
}


def fetched(folder: Path) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": "fetched",
        "schedule": "* * * * *",
        "nodes": {
            "files": {"component": "Files", "params": {"directory": str(folder)}},
            "out": {"component": "JSONLines", "params": {"path": "fetched.jsonl"}},
        },
        "wires": [["files.out", "out.in"]],
    }


class Told:
    """A node, its clock, and what it has said."""

    def __init__(self, node: Node, clock: WallClock) -> None:
        self.node = node
        self.clock = clock
        self.jumps = 0

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.node.log_path.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"].startswith(event)]

    def jump(self, ahead_s: float) -> None:
        """Set the clock so many seconds ahead, and on from there to just before the next minute; wait until that is noticed."""
        now = time.time() + ahead_s
        self.clock.set(ahead_s + 58.0 - now % 60.0)
        self.jumps += 1
        until(lambda: len(self.events("the wall clock was set")) >= self.jumps, 30.0, "the jump is noticed")

    def is_triggered_again(self) -> None:
        """The schedule of every minute is heard again, at the time that the clock shows."""
        wall = time.time() + self.clock.shift_s

        def is_triggered() -> bool:
            return any(abs(line["at"] - wall) < 100.0 for line in self.events("sources triggered"))

        until(is_triggered, 60.0, f"triggered at about {wall}")

    def post(self, key: str) -> str:
        answer = self.node.post(b'{"id": 1}', **{"Idempotency-Key": key})
        assert answer.status == 202, answer.data
        receipt: str = answer.json()["receipt"]
        until(lambda: self.receipt(receipt)["state"] == "done", 30.0, "published")
        return receipt

    def receipt(self, id: str) -> dict[str, Any]:
        answer = self.node.get(f"/receipts/{id}")
        assert answer.status == 200, answer.data
        found: dict[str, Any] = answer.json()
        return found

    def ahead_s(self, id: str) -> float:
        """By how much the time of a receipt is ahead of now."""
        return datetime.fromisoformat(self.receipt(id)["received"]).timestamp() - time.time()


def test_a_wall_clock_that_jumps_harms_nothing(tmp_path: Path) -> None:
    clock = WallClock(tmp_path / "shift")
    (tmp_path / "files").mkdir()
    base = tmp_path / "node"
    base.mkdir()
    (base / "graphs").mkdir()
    (base / "graphs" / "fetched.json").write_text(json.dumps(fetched(tmp_path / "files")))
    with running(base, POSTED, "--log-format", "json", instances=1, environ=clock.environ) as node:
        told = Told(node, clock)
        receipts = [told.post("before")]

        told.jump(DAY_S)
        told.is_triggered_again()
        receipts.append(told.post("a day ahead"))
        assert DAY_S - 300 < told.ahead_s(receipts[-1]) < DAY_S + 300
        told.jump(0.0)
        told.is_triggered_again()

        told.jump(8 * DAY_S)
        receipts.append(told.post("eight days ahead"))
        # workers and supervisor that begin while the clock is wrong go on where those before have been
        node.process.send_signal(signal.SIGUSR2)  # type: ignore[union-attr]
        until(lambda: len(told.events("worker rolled")) == 2, 60.0, "both workers rolled")
        receipts.append(told.post("rolled"))
        assert node.stop() == 0
        node.start()
        node.wait_ready()
        receipts.append(told.post("restarted"))
        told.jump(0.0)
        told.is_triggered_again()
        receipts.append(told.post("right again"))

        assert receipts == sorted(receipts), "ids go up whatever the clock does"
        for key, receipt in zip(
            ("before", "a day ahead", "eight days ahead", "rolled", "restarted", "right again"), receipts, strict=True
        ):
            assert told.post(key) == receipt, "a key that is repeated gives the receipt of the first time"
            assert -400 < told.ahead_s(receipt) < 70, "times are right once the clock is"
        listed = node.get(f"/receipts?since={time.time() - 400}").json()["receipts"]
        assert [one["receipt"] for one in listed] == receipts[::-1], "newest first"
        assert not node.get(f"/receipts?since={time.time() + 70}").json()["receipts"]
        assert node.get("/readyz").status == 200
