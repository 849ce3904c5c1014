"""Random graphs of functions against a model: the same results and failures, wherever the functions run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pypes import Done, Failed, Pipeline, Pool
from tests.pipeline.model import Filter, Lost, ends_of, streamed

T = TypeVar("T")

PLACES = ["here", "here", "here", "threads", "shared threads", "shared processes"]


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[str, Pool]]:
    with Pool(threads=2) as threads, Pool(processes=2) as processes:
        yield {"shared threads": threads, "shared processes": processes}


@st.composite
def graphs(draw: st.DrawFn) -> list[Filter]:
    found: list[Filter] = []
    makers: dict[str, tuple[str, ...]] = {}
    for number in range(draw(st.integers(1, 6))):
        name = f"f{number}"
        sources: tuple[str, ...] = (draw(st.sampled_from(found)).name,) if found else ()
        if number > 1 and draw(st.booleans()):
            # ways of which each made several values of its own would meet by their number, which drops change
            first = makers[sources[0]]
            fitting = [
                other
                for other, way in makers.items()
                if other != sources[0] and (way[: len(first)] == first or first[: len(way)] == way)
            ]
            if fitting:
                sources = (sources[0], draw(st.sampled_from(fitting)))
        kind = draw(st.sampled_from(["plain", "plain", "many", "two", "repeated"])) if len(sources) < 2 else "plain"
        consumes = draw(st.sampled_from([0, 0, 0, 1, 2, 3])) if len(sources) < 2 else 0
        place = draw(st.sampled_from(PLACES))
        stride = draw(st.integers(1, 5)) if place != "here" else 1
        before = max((makers[source] for source in sources), key=len, default=())
        common = min(len(makers[source]) for source in sources) if len(sources) == 2 else 0
        found.append(Filter(name, sources, kind, consumes, place, stride, before, common))
        after = (*before[:-1], name) if consumes and before else before
        makers[name] = after + ((name,) if kind != "plain" else ())
    return streamed(found)


def wires_of(filters: list[Filter]) -> list[tuple[str, str]]:
    ports = [("in",), ("left", "right")]
    return [
        (f"{source}.out", f"{each.name}.{port}")
        for each in filters
        if each.sources
        for source, port in zip(each.sources, ports[len(each.sources) - 1], strict=True)
    ]


def shown(value: Any) -> Any:
    """A result or a failure as something to be compared."""
    if isinstance(value, Failed):
        return "failed", value.node, repr(value.value), type(value.error)
    if isinstance(value, Lost):
        return "failed", value.name, repr(value.value), type(value.error)
    return value.value if isinstance(value, Done) else value


def fds() -> set[str]:
    """Open files and shared memory of this process."""
    folder = Path("/proc/self/fd")
    found = set()
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            found.add(f"{path.name} {path.readlink()}")
        except FileNotFoundError:
            continue  # the one of the listing itself
    return found


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("pypes-")}


def wait_until_gone(seen: Callable[[], set[T]], before: set[T]) -> set[T]:
    deadline = time.monotonic() + 20
    while (left := seen() - before) and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    return left


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    filters=graphs(),
    count=st.integers(0, 25),
    ordered=st.booleans(),
    errors=st.sampled_from(["return", "skip", "raise"]),
    buffer=st.sampled_from([1, 2, 7, 1000]),
    is_list=st.booleans(),
)
def test_a_pipeline_makes_what_the_model_makes(
    pools: dict[str, Pool], filters: list[Filter], count: int, ordered: bool, errors: Any, buffer: int, is_list: bool
) -> None:
    note(f"{filters} {count=} {ordered=} {errors=} {buffer=} {is_list=}")
    before_threads, before_fds = threads(), fds()
    nodes = {each.name: each.node(pools) for each in filters}
    expected = [[shown(value) for value in ends_of(filters, item)] for item in range(count)]
    lost = [(at, value) for at, values in enumerate(expected) for value in values if isinstance(value, tuple)]
    inner = {name for each in filters for name in each.sources}
    is_one = sum(each.name not in inner for each in filters) == 1
    found: list[Any] = []
    raised: BaseException | None = None
    with Pipeline(nodes=nodes, wires=wires_of(filters), errors=errors, ordered=ordered, buffer=buffer) as pipeline:
        try:
            found.extend(pipeline.run([*range(count)] if is_list else iter(range(count))))
        except Exception as error:
            raised = error
        letters = [*pipeline.dead_letters]
    results = [shown(value) for value in found]
    failures = [value for value in found if isinstance(value, Failed)] + letters
    if errors == "raise":
        assert (raised is None) == (not lost)
        if raised is not None:
            assert type(raised) in {value[3] for _, value in lost}
        if ordered and is_one and lost:
            flat = [value for values in expected for value in values]
            end = next(at for at, value in enumerate(flat) if isinstance(value, tuple))
            assert results == flat[:end]
    else:
        assert raised is None, raised
        assert sorted((at, value[1:3]) for failed in failures for at in failed.positions for value in [shown(failed)]) == sorted(
            (at, value[1:3]) for at, value in lost
        )
        flat = [value for values in expected for value in values if errors == "return" or not isinstance(value, tuple)]
        if ordered and is_one:
            assert results == flat
        else:
            assert sorted(map(repr, results)) == sorted(map(repr, flat))
    del pipeline
    assert not wait_until_gone(threads, before_threads)
    assert not wait_until_gone(fds, before_fds)
