"""There is always a process that is set up, or a reason."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from pypes.core.limits import MIB
from pypes.errors import Unreachable
from pypes.placement.component_work import ComponentOrder, ComponentWork
from pypes.placement.pool_process import Bounds, PoolProcess, order_of
from pypes.placement.respawner import Respawner
from pypes.placement.words import UserWords
from pypes.testing.node import until
from tests.placement import samples


def process(name: str = "Apart", data_dir: Path | None = None) -> PoolProcess:
    order = ComponentOrder(
        module=samples.__file__,
        attr=name,
        name="sample",
        graph="g",
        params={},
        data_dir=str(data_dir or "."),
        connected=frozenset(),
        secrets={},
    )
    bounds, speech = Bounds(max_bytes=400 * MIB), UserWords()
    return PoolProcess(1, order_of(partial(ComponentWork, order), speech, bounds), bounds, speech)


class Starts:
    """Starts processes, unless it is told to fail."""

    def __init__(self) -> None:
        self.is_failing = False

    def __call__(self) -> PoolProcess:
        if self.is_failing:
            raise OSError("no more processes")
        return process()


def test_the_first_one_is_waited_for_and_replaced_when_given_up() -> None:
    respawner = Respawner("sample", Starts())
    respawner.first()
    first = respawner.take()
    assert respawner.take() is first
    respawner.give_up(first)
    respawner.give_up(first)  # told twice
    second = respawner.take()
    assert second.pid != first.pid
    respawner.close(is_busy=False)


def test_a_first_one_that_cannot_be_is_told() -> None:
    starts = Starts()
    starts.is_failing = True
    respawner = Respawner("sample", starts)
    with pytest.raises(OSError, match="no more processes"):
        respawner.first()
    respawner.close(is_busy=False)


def test_packets_wait_for_one_that_cannot_be_set_up_again(caplog: pytest.LogCaptureFixture) -> None:
    starts = Starts()
    told: list[str] = []
    respawner = Respawner("sample", starts, wait_s=0.05, on_change=lambda: told.append(respawner.failure))
    respawner.first()
    assert respawner.failure == ""
    starts.is_failing = True
    respawner.give_up(respawner.take())
    with pytest.raises(
        Unreachable, match="the component cannot be set up again in filter sample: OSError: no more processes"
    ) as caught:
        respawner.take()
    assert isinstance(caught.value.__cause__, OSError)
    assert respawner.failure == "OSError: no more processes"
    assert [line.place for line in caplog.records if "cannot be set up again" in line.message][:1] == ["filter sample"]  # type: ignore[attr-defined]
    starts.is_failing = False
    until(lambda: is_up(respawner), 10, "it is set up again")
    assert respawner.failure == ""
    respawner.close(is_busy=False)
    # once each, however often it was tried
    assert told == ["OSError: no more processes", ""]


def is_up(respawner: Respawner[PoolProcess]) -> bool:
    try:
        respawner.take()
    except Unreachable:
        return False
    return True


def test_closed_while_one_is_set_up(tmp_path: Path) -> None:
    respawner = Respawner("sample", lambda: process("SlowToStart", tmp_path))
    until(lambda: (tmp_path / "started").exists(), 20, "set-up has begun")
    respawner.close(is_busy=False)
    with pytest.raises(Unreachable):
        respawner.take()


def test_closed_while_one_is_busy() -> None:
    respawner = Respawner("sample", Starts())
    respawner.first()
    process = respawner.take()
    respawner.close(is_busy=True)
    assert str(process.died()) == "killed by SIGKILL"
