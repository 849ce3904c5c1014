"""There is always a process that is set up, or a reason."""

from __future__ import annotations

import logging
from pathlib import Path

import psutil
import pytest

from pypes.core.limits import MIB
from pypes.errors import Unreachable
from pypes.packet import Packet
from pypes.placement import frames
from pypes.placement.channel import SLICE_S
from pypes.placement.process import Process
from pypes.placement.respawner import Respawner
from pypes.placement.spawned import Died
from pypes.testing.node import until
from tests.placement import samples


def order(name: str = "Apart", data_dir: Path | None = None) -> frames.Order:
    return frames.Order(
        module=samples.__file__,
        attr=name,
        name="sample",
        graph="g",
        params={},
        data_dir=str(data_dir or "."),
        max_bytes=400 * MIB,
        connected=(),
        log_level=logging.INFO,
    )


class Starts:
    """Starts processes, unless it is told to fail."""

    def __init__(self) -> None:
        self.is_failing = False

    def __call__(self) -> Process:
        if self.is_failing:
            raise OSError("no more processes")
        return Process(order())


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


def test_packets_wait_for_one_that_cannot_be_set_up_again() -> None:
    starts = Starts()
    respawner = Respawner("sample", starts, wait_s=0.05)
    respawner.first()
    starts.is_failing = True
    respawner.give_up(respawner.take())
    with pytest.raises(
        Unreachable, match="the component cannot be set up again in filter sample: OSError: no more processes"
    ) as caught:
        respawner.take()
    assert isinstance(caught.value.__cause__, OSError)
    starts.is_failing = False
    until(lambda: is_up(respawner), 10, "it is set up again")
    respawner.close(is_busy=False)


def is_up(respawner: Respawner[Process]) -> bool:
    try:
        respawner.take()
    except Unreachable:
        return False
    return True


def test_closed_while_one_is_set_up(tmp_path: Path) -> None:
    respawner = Respawner("sample", lambda: Process(order("SlowToStart", tmp_path)))
    until(lambda: (tmp_path / "started").exists(), 20, "set-up has begun")
    respawner.close(is_busy=False)
    with pytest.raises(Unreachable):
        respawner.take()


def test_closed_while_one_is_busy() -> None:
    respawner = Respawner("sample", Starts())
    respawner.first()
    process = respawner.take()
    process.give(Packet({"do": "hang_deaf"}))
    respawner.close(is_busy=True)
    assert str(process.died()) == "killed by SIGKILL"


def test_what_was_sent_ahead_is_not_sent_again() -> None:
    process = Process(order())
    process.wait_ready(20)
    packets = [Packet({"n": n}) for n in range(30)]
    for number, packet in enumerate(packets):
        assert process.expects(packet)
        process.give(packet)
        process.give_ahead(packets[number + 1 :])
        [(kind, payload)] = process.answers(10)
        assert kind == frames.DONE
        assert process.decode(payload, has_port=False)[1].get("n") == number
        process.finished()
    process.end()


def test_what_was_done_before_it_died_counts() -> None:
    process = Process(order())
    process.wait_ready(20)
    good, bad, later = Packet({"n": 1}), Packet({"do": "abort"}), Packet({"n": 2})
    process.give(good)
    process.give_ahead([bad])
    child = psutil.Process(process.pid)
    until(lambda: child.status() == psutil.STATUS_ZOMBIE, 20, "it has died of the second packet")
    process.give_ahead([bad, later])
    [(kind, _)] = process.answers(SLICE_S)
    assert kind == frames.DONE
    process.finished()
    assert process.expects(bad)
    with pytest.raises(Died, match="killed by SIGABRT"):
        next(process.answers(10))
    process.close()
