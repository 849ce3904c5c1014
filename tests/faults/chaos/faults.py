"""What is done to a node: processes killed and paused, a full disk, no destination, a wrong clock, deployments, restarts."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import urllib3

from pypes.testing.clock import WallClock
from pypes.testing.destination import Destination
from pypes.testing.node import Node, until
from tests.faults.chaos.connections import HalfOpen

ROLES = ("instance", "worker", "arbiter", "supervisor")

#: How often each fault is chosen; a kill is by far the cheapest to recover from.
WEIGHTS = {
    "kill": 60,
    "pause": 12,
    "disturb_destination": 12,
    "fill_disk": 5,
    "deploy": 12,
    "roll": 3,
    "restart": 1.5,
    "half_open": 6,
    "jump_clock": 4,
}
#: Share of faults that are chosen because their kind was not there yet: however short a run is, it has all of them.
DUE = 0.4
#: Where the clock of the node may jump to, in seconds: a second back, minutes, hours, and beyond what is kept.
JUMPS_S = (-1.5, 90.0, -600.0, 3_600.0, -3_600.0, 86_400.0, -86_400.0, 8 * 86_400.0)
#: Between two faults.
LONGEST_WAIT_S = 0.8
LONGEST_PAUSE_S = 3.0
GRACE_S = 5.0
#: Longest time of a deployment: a set-up that is paused, and what is in flight before it.
DEPLOY_S = 60.0


class Disk:
    """A small file system for the node's data. Without the rights to mount one, an ordinary folder that never fills."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._filler = path / "filler"
        self._path = path
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "chaos", str(path)]
        self.is_small = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0

    def fill(self, spare_bytes: int) -> None:
        """Leave no more than ``spare_bytes``."""
        stats = os.statvfs(self._path)
        size = stats.f_bavail * stats.f_frsize - spare_bytes
        with suppress(OSError), self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    @property
    def is_full(self) -> bool:
        return self._filler.exists()

    def close(self) -> None:
        if self.is_small:
            subprocess.run(["umount", "--lazy", str(self._path)], check=True)
            self.is_small = False


@dataclass(slots=True)
class Tally:
    """What was done, how often."""

    kills: Counter[str] = field(default_factory=Counter)
    pauses: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = {"kills": self.kills, "pauses": self.pauses, "others": self.others}
        return "; ".join(
            f"{sum(each.values())} {name} ({', '.join(f'{key} {each[key]}' for key in sorted(each))})"
            for name, each in parts.items()
        )


class Faults:
    """Disturbs a node for some time, then puts everything right again."""

    def __init__(
        self,
        node: Node,
        destination: Destination | None,
        disk: Disk,
        clock: WallClock,
        rng: random.Random,
        *,
        weights: Mapping[str, float] = WEIGHTS,
        roles: Sequence[str] = ROLES,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        self.tally = Tally()
        self._weights = weights
        self._roles = roles
        self._longest_wait_s = longest_wait_s
        self._node = node
        self._destination = destination
        self._disk = disk
        self._clock = clock
        self._half = HalfOpen(node.port, rng)
        self._rng = rng
        self._wait = threading.Event().wait
        #: What will be put right, and when: (time, what it is).
        self._paused: list[tuple[float, psutil.Process]] = []
        self._recovery_s = self._room_s = self._right_s = 0.0
        self._deployment: threading.Thread | None = None
        self._version = 1
        #: Kinds of faults that are still to come, whatever their weights.
        self._due: list[str] = []

    def run(self, seconds: float) -> Tally:
        """Disturb for ``seconds``, until each kind of fault was chosen and every role was killed; afterwards nothing disturbs."""
        end = time.monotonic() + seconds
        self._due = self._rng.sample([*self._weights], len(self._weights))
        return self.run_while(
            lambda: time.monotonic() < end or bool(self._due) or any(not self.tally.kills[role] for role in self._roles)
        )

    def run_while(self, goes_on: Callable[[], bool]) -> Tally:
        """Disturb as long as ``goes_on`` says so; afterwards the node runs and nothing disturbs it."""
        names, weights = list(self._weights), list(self._weights.values())
        try:
            while goes_on():
                self._wait(self._rng.uniform(0.05, self._longest_wait_s))
                self._put_right(time.monotonic())
                self._see_that_it_runs()
                is_due = bool(self._due) and self._rng.random() < DUE
                getattr(self, "_" + (self._due.pop() if is_due else self._rng.choices(names, weights)[0]))()
        finally:
            self._put_right(float("inf"))
            self._half.close()
            if self._deployment is not None:
                self._deployment.join(DEPLOY_S)
        self._see_that_it_runs()
        self._node.wait_ready()
        return self.tally

    def _put_right(self, now: float) -> None:
        for paused in [each for each in self._paused if each[0] <= now]:
            self._paused.remove(paused)
            with suppress(psutil.NoSuchProcess):
                paused[1].resume()
        if 0 < self._recovery_s <= now:
            self._recovery_s = 0.0
            assert self._destination is not None
            self._destination.recover()
        if 0 < self._room_s <= now:
            self._room_s = 0.0
            self._disk.free()
        if 0 < self._right_s <= now:
            self._right_s = 0.0
            self._clock.set(0.0)

    def _see_that_it_runs(self) -> None:
        process = self._node.process
        if process is not None and process.poll() is None:
            return
        if process is not None and not self._disk.is_full and process.returncode != -signal.SIGKILL:
            self.tally.violations.append(f"the server ended by itself with {process.returncode}: {self._node.log()[-1500:]}")
        # on a full disk a server may refuse to start, if it says so
        if self._disk.is_full and process is not None and process.returncode > 0:
            self.tally.others["start refused on a full disk"] += 1
        self._resume_all()
        self._disk.free()
        self._room_s = 0.0
        self._start()

    def _start(self) -> None:
        until(
            lambda: not self._node.leftovers(), 10, f"no process outlives its supervisor, but {self._node.describe_leftovers()}"
        )
        self._node.start()

    def _resume_all(self) -> None:
        """A process that is stopped can neither die with its supervisor nor let go of its files."""
        for _, process in self._paused:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self._paused.clear()

    # -- faults -----------------------------------------------------------------------------------------

    def _victim(self, count: Counter[str]) -> tuple[str, psutil.Process] | None:
        """Any process, of the role that had least rather than of the others; the supervisor seldom."""
        rng = self._rng
        roles = self._roles
        role = min(roles, key=lambda role: (count[role], rng.random())) if rng.random() < 0.4 else rng.choice(roles[:3])
        if role == "supervisor" and count[role] >= 2 + sum(count.values()) / 12:
            return None
        found = self._node.roles()[role]
        return (role, rng.choice(found)) if found else None

    def _kill(self) -> None:
        victim = self._victim(self.tally.kills)
        if victim is None:
            return
        role, process = victim
        if role == "supervisor":
            self._resume_all()
        with suppress(psutil.NoSuchProcess):
            process.kill()
            self.tally.kills[role] += 1
        if role == "supervisor":
            assert self._node.process is not None
            self._node.process.wait(10)
            self._start()
            if self._rng.random() < 0.5:
                self._get_ready()

    def _pause(self) -> None:
        victim = self._victim(self.tally.pauses)
        if victim is None:
            return
        role, process = victim
        with suppress(psutil.NoSuchProcess):
            process.suspend()
            self._paused.append((time.monotonic() + self._rng.uniform(0.1, LONGEST_PAUSE_S), process))
            self.tally.pauses[role] += 1

    def _disturb_destination(self) -> None:
        assert self._destination is not None
        name = self._rng.choice(("slow destination", "no destination", "cut destination"))
        if name == "slow destination":
            self._destination.delay(self._rng.uniform(0.05, 1.0))
        elif name == "no destination":
            self._destination.refuse()
        else:
            self._destination.cut()
        self.tally.others[name] += 1
        self._recovery_s = time.monotonic() + self._rng.uniform(0.2, 4.0)

    def _fill_disk(self) -> None:
        if self._disk.is_small and not self._disk.is_full:
            self._disk.fill(self._rng.choice((0, 4096, 100_000)))
            self._room_s = time.monotonic() + self._rng.uniform(0.5, 4.0)
            self.tally.others["full disk"] += 1

    def _half_open(self) -> None:
        """Connections that say nothing more; some of those before hang up."""
        self._half.close(0.3)
        self.tally.others["half-open connection"] += self._half.open(self._rng.randint(1, 30))

    def _jump_clock(self) -> None:
        """The wall clock of the node is wrong for a while."""
        self._clock.set(self._rng.choice(JUMPS_S))
        self._right_s = time.monotonic() + self._rng.uniform(0.5, 5.0)
        self.tally.others["jump of the clock"] += 1

    def _roll(self) -> None:
        """New ingest workers, one after the other."""
        # not before it listens to signals
        if self._node.process is not None and self._node.is_ready():
            self._node.process.send_signal(signal.SIGUSR2)
            self.tally.others["roll"] += 1

    def _deploy(self) -> None:
        """A new version of a graph; it goes live or does not, whatever else is done meanwhile."""
        if self._deployment is not None and self._deployment.is_alive():
            return
        self._version += 1
        self._deployment = threading.Thread(target=self._put, args=(self._next_version(),), daemon=True)
        self._deployment.start()

    def _next_version(self) -> dict[str, object]:
        path = self._rng.choice(sorted(self._node.graphs.glob("*.json")))
        graph: dict[str, object] = {**json.loads(path.read_text()), "description": f"version {self._version}"}
        # the description alone changes in place; this takes new instances
        graph["nodes"]["look"]["max_attempts"] = 2 + self._version % 3 if self._rng.random() < 0.8 else 5  # type: ignore[index]
        return graph

    def _put(self, graph: dict[str, object]) -> None:
        url, headers = f"{self._node.url}/graphs/{graph['name']}", {"Content-Type": "application/json"}
        try:
            answer = self._node.http.request("PUT", url, body=json.dumps(graph), headers=headers, timeout=DEPLOY_S)
        except urllib3.exceptions.HTTPError:
            self.tally.others["deployment interrupted"] += 1
            return
        if answer.status == 200:
            self.tally.others["deployment"] += 1
        elif answer.status in (409, 503, 507):
            # an instance was killed again and again in its set-up, the supervisor is gone, the disk is full
            self.tally.others["deployment refused"] += 1
        else:
            self.tally.violations.append(f"a deployment was answered with {answer.status}: {answer.data!r}")

    def _restart(self) -> None:
        """An orderly end, whatever the state, and a new start."""
        self._get_ready()
        self._resume_all()
        if self._node.process is None or self._node.process.poll() is not None:
            return
        status = self._node.stop()
        if status != 0:
            self.tally.violations.append(f"after SIGTERM the server ended with {status}: {self._node.log()[-1500:]}")
        self._start()
        self.tally.others["restart"] += 1

    def _get_ready(self) -> None:
        """Wait until it is ready, or has ended for lack of room on the disk; what is to be put right meanwhile, is."""
        process = self._node.process
        assert process is not None

        def is_settled() -> bool:
            self._put_right(time.monotonic())
            return process.poll() is not None or self._node.is_ready()

        until(is_settled, 30, f"ready; the log says:\n{self._node.log()}")
