"""Random graphs with functions that end their process, take too long, or make what cannot travel, against a model.

``PYPES_PIPELINE_FAULTS`` is the number of graphs.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from pypes import Done, Failed, Pipeline, Pool
from tests.pipeline.model import Filter, Lost, ends_of, streamed
from tests.pipeline.test_random_graphs import graphs, wires_of

GRAPHS = int(os.environ.get("PYPES_PIPELINE_FAULTS", "5"))
#: Time for one item: the others take microseconds, on a machine that is busy as well.
LIMIT_S = 1.5

FAULTS = ["", "exit", "kill", "late", "unsendable result", "unsendable error"]


class Unsendable:
    """A value that cannot be sent to another process."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Unsendable({self.text})"

    def __reduce__(self) -> Any:
        raise TypeError(f"{self.text} stays here")


class Locked(Exception):
    """An error that cannot be sent to another process."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


#: Set when a graph is done with: threads that were given up end.
GO = threading.Event()


def struck(fault: str, name: str, *, in_process: bool) -> Any:
    """What a function does with some values."""
    if fault == "exit":
        os._exit(3)
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "unsendable error":
        raise Locked(name)
    if fault == "unsendable result":
        return Unsendable(name)
    while in_process:
        time.sleep(LIMIT_S)
    assert GO.wait(10 * LIMIT_S)
    return None


@dataclass(frozen=True)
class Faulty(Filter):
    """A function of a graph that does ``fault`` with some values."""

    fault: str = ""

    def is_struck(self, value: Any) -> bool:
        among = 5 if self.fault.startswith("unsendable") else 11  # the others take time
        return bool(self.fault) and crc32(repr((self.fault, self.name, value)).encode()) % among == 0

    def function(self) -> Callable[..., Any]:
        sound, fault, name, is_struck = super().function(), self.fault, self.name, self.is_struck
        in_process = "processes" in self.place

        def strike() -> Any:
            return struck(fault, name, in_process=in_process)

        def one(value: Any) -> Any:
            if not is_struck(value):
                return sound(value)
            made = strike()
            return [made, made] if kind == "two" else made

        def many(value: Any) -> Iterator[Any]:
            if is_struck(value):
                yield strike()
            yield from sound(value)

        def join(left: Any, right: Any) -> Any:
            return strike() if is_struck((left, right)) else sound(left, right)

        kind = self.kind
        return join if len(self.sources) == 2 else many if kind == "many" else one

    # -- the model ----------------------------------------------------------------------------------------

    def _called(self, value: Any) -> Any:
        if isinstance(value, Lost | Done):
            return value
        in_process = "processes" in self.place
        if in_process and has_unsendable(value):
            return Lost(self.name, value, Named("ItemUnfit"))
        seen = tuple(value[name] for name in ("left", "right")) if isinstance(value, dict) else value
        if self.is_struck(seen):
            if self.fault in ("exit", "kill"):
                return Lost(self.name, value, Named("ItemLost"))
            if self.fault == "late":
                return Lost(self.name, value, Named("ItemLate" if in_process else "ItemStillRunning"))
            if self.fault == "unsendable result" and in_process and not self._fails_anyway(seen):
                return Lost(self.name, value, Named("Reject"))
        try:
            return super()._called(value)
        except Locked as error:
            return Lost(self.name, value, error)

    def _fails_anyway(self, value: Any) -> bool:
        """True if a generator function raises behind what it has made."""
        try:
            return self.kind == "many" and not [*self.function()(value)]
        except KeyError:
            return True


class Named(Exception):
    """An error of which the class has this name."""


def has_unsendable(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return isinstance(value, Unsendable) or any(has_unsendable(each) for each in inner)


def name_of(error: BaseException) -> str:
    return str(error) if isinstance(error, Named) else type(error).__name__


def shown(value: Any) -> Any:
    """A result or a failure as something to be compared."""
    if isinstance(value, Failed):
        return "failed", value.node, repr(value.value), name_of(value.error)
    if isinstance(value, Lost):
        return "failed", value.name, repr(value.value), name_of(value.error)
    return repr(value.value if isinstance(value, Done) else value)


@st.composite
def faulty_graphs(draw: st.DrawFn) -> list[Faulty]:
    found = []
    for each in draw(graphs()):
        place = draw(st.sampled_from(["here", "shared threads", "shared processes", "shared processes"]))
        fitting = {"here": FAULTS[4:], "shared threads": FAULTS[3:]}.get(place, FAULTS)
        fault = draw(st.sampled_from(["", *fitting]))
        stride = draw(st.integers(1, 5)) if place != "here" else 1
        found.append(Faulty(**{**vars(each), "place": place, "stride": stride}, fault=fault))
    return streamed(found)


@pytest.fixture
def pools() -> Iterator[dict[str, Pool]]:
    with Pool(threads=2, timeout_s=LIMIT_S) as threads, Pool(processes=2, timeout_s=LIMIT_S) as processes:
        yield {"shared threads": threads, "shared processes": processes}


def held() -> Counter[str]:
    """The threads by name, child processes, and by kind the open files and the mapped memory that this process has."""
    found = Counter(thread.name for thread in threading.enumerate())
    folder = Path("/proc/self")
    for listing in folder.glob("task/*/children"):
        found["processes"] += len(listing.read_text().split())
    for path in (folder / "fd").iterdir() if folder.is_dir() else ():
        try:
            found[re.sub(r"\d+", "N", str(path.readlink()))] += 1
        except FileNotFoundError:
            continue  # the one of the listing itself
    maps = folder / "maps"
    found["mapped"] = maps.read_text().count("memfd:") if maps.exists() else 0
    return found


def left_over(before: Counter[str]) -> Counter[str]:
    deadline = time.monotonic() + 60
    while (left := held() - before) and time.monotonic() < deadline:
        gc.collect()
        threading.Event().wait(0.01)
    return left


@settings(
    max_examples=GRAPHS,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each takes some seconds
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    filters=faulty_graphs(),
    count=st.integers(1, 10),
    ordered=st.booleans(),
    errors=st.sampled_from(["return", "skip", "raise"]),
)
def test_a_fault_costs_its_item_and_nothing_is_left(
    pools: dict[str, Pool], filters: list[Faulty], count: int, ordered: bool, errors: Any
) -> None:
    note(f"{filters} {count=} {ordered=} {errors=}")
    GO.clear()
    before = held()
    nodes = {each.name: each.node(pools) for each in filters}
    expected = [[shown(value) for value in ends_of(filters, item)] for item in range(count)]
    lost = [(at, value) for at, values in enumerate(expected) for value in values if isinstance(value, tuple)]
    found: list[Any] = []
    raised: BaseException | None = None
    with Pipeline(nodes=nodes, wires=wires_of([*filters]), errors=errors, ordered=ordered) as pipeline:
        try:
            found.extend(pipeline.run(range(count)))
        except Exception as error:
            raised = error
        letters = [*pipeline.dead_letters]
    GO.set()
    failures = [value for value in found if isinstance(value, Failed)] + letters
    if errors == "raise":
        assert (raised is None) == (not lost)
        if raised is not None:
            assert name_of(raised) in {value[3] for _, value in lost}
    else:
        assert raised is None, raised
        assert sorted((at, shown(failed)) for failed in failures for at in failed.positions) == sorted(lost)
        flat = [value for values in expected for value in values if errors == "return" or not isinstance(value, tuple)]
        results = [shown(value) for value in found]
        inner = {name for each in filters for name in each.sources}
        if ordered and sum(each.name not in inner for each in filters) == 1:
            assert results == flat
        else:
            assert sorted(map(repr, results)) == sorted(map(repr, flat))
    del pipeline, nodes, found, failures, letters, raised
    assert not left_over(before)
