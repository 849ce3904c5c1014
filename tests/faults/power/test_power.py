"""Power cuts: rebuilt from a recording of a real run, at every point of it, whatever the disk had still written."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.power.disk import KINDS, Disk, luck
from tests.faults.power.ledger import Ledger, check
from tests.faults.power.recording import Event, Said, record

_STEPS = 50
#: How many states `make test` looks at; with PYPES_POWER_SEEDS every point is looked at, that many times for each kind of loss.
_STATES = 600


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder in memory where there is one: the states are many, and syncing them proves nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="pypes-power-", dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def recorded(tmp_path: Path, durability: str, seed: int, steps: int = _STEPS) -> list[Event]:
    folder = tmp_path / "data"
    folder.mkdir()
    return record("tests.faults.power.script", folder, tmp_path / "trace", durability, str(seed), str(steps))


def points(events: list[Event]) -> int:
    """How many points there are at which a power cut can leave something new."""
    disk = Disk()
    return sum(disk.apply(event) for event in events)


async def broken_states(events: list[Event], scratch: Path, chances: dict[int, list[tuple[str, int]]]) -> tuple[int, list[str]]:
    """Cut the power as ``chances`` (point → kinds of loss and seeds) say; the number of states, and what was broken in which."""
    disk, ledger, point, states = Disk(), Ledger(), 0, 0
    broken: list[str] = []
    for event in events:
        is_new = disk.apply(event)
        if isinstance(event, Said):
            ledger.hear(event.text)
        if not is_new:
            continue
        for kind, seed in chances.get(point, ()):
            data = scratch / "state"
            disk.write_to(data, luck(kind, seed, disk.pending()))
            found = await check(data, ledger)
            broken += [f"point {point}, {kind}, seed {seed}: {problem}" for problem in found]
            shutil.rmtree(data)
            states += 1
        point += 1
    return states, broken


def chances(count: int, seed: int) -> dict[int, list[tuple[str, int]]]:
    """Which losses to try at which of ``count`` points."""
    seeds = int(os.environ.get("PYPES_POWER_SEEDS", 0))
    rng = random.Random(seed)
    found: dict[int, list[tuple[str, int]]] = {}
    if seeds:
        for point in range(count):
            kinds = [(kind, rng.getrandbits(32)) for kind in KINDS[2:] for _ in range(seeds)]
            found[point] = [("none", 0), ("all", 0), *kinds]
        return found
    for n in range(_STATES):
        point = n * count // _STATES
        found.setdefault(point, []).append((rng.choice(KINDS), rng.getrandbits(32)))
    return found


@pytest.mark.timeout(3600 if "PYPES_POWER_SEEDS" in os.environ else 120)
def test_no_power_cut_loses_what_was_acknowledged(tmp_path: Path, scratch: Path) -> None:
    seed = int(os.environ.get("PYPES_CHAOS_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")  # noqa: T201
    events = recorded(tmp_path, "always", seed)
    count = points(events)
    said = Counter(event.text.split('"')[3] for event in events if isinstance(event, Said))
    states, broken = asyncio.run(broken_states(events, scratch, chances(count, seed)))
    print(f"{dict(said)}; {count} points, {states} states")  # noqa: T201
    assert not broken, f"seed {seed}: {len(broken)} broken promises in {states} states\n" + "\n".join(broken[:20])
    assert said["accepted"] > 10
    assert said["finishing"] > 5


def test_without_durability_the_same_check_fails(tmp_path: Path, scratch: Path) -> None:
    events = recorded(tmp_path, "never", 1)
    losses = {point: [("none", 0), ("torn", point)] for point in range(0, points(events), 20)}
    states, broken = asyncio.run(broken_states(events, scratch, losses))
    print(f"{states} states, {len({each.split(':')[0] + each.split(',')[1] for each in broken})} of them broken")  # noqa: T201
    assert any("it is lost" in each or "its receipt is None" in each for each in broken)
