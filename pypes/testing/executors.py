"""The behaviour every executor must show, as a pytest class to inherit from."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.packet import Packet
from pypes.placement.executor import Calling, Executor, ExecutorClosed, ExecutorFull, Make, Outcome
from pypes.placement.in_order import AHEAD, in_order
from pypes.testing import works

#: Time for whatever should come at once.
PATIENCE_S = 30.0


class Heard:
    """Listens, and keeps what it hears."""

    def __init__(self) -> None:
        self.parts: dict[int, list[Any]] = {}
        self.outcomes: dict[int, Outcome] = {}
        #: Cleared as long as nothing more is taken.
        self.room = threading.Event()
        self.room.set()

    def part(self, at: int, value: Any, size: int) -> None:
        assert self.room.wait(PATIENCE_S)
        assert at not in self.outcomes
        self.parts.setdefault(at, []).append(value)

    def outcome(self, at: int, outcome: Outcome) -> None:
        self.outcomes[at] = outcome


class ExecutorSuite:
    """Checks of the contract: a class that derives from this one makes executors, which the suite sets up and closes.

    Those of a remote engine have the same work and the same folders; where it has no way to end an item in its midst, an item
    that is let go ends by itself.
    """

    def make(self, make: Make, width: int) -> Executor:
        """An executor that is not set up yet, with ``width`` pool workers if it may have several."""
        raise NotImplementedError

    @pytest.fixture
    def started(self) -> Iterator[Callable[..., Executor]]:
        """Makes executors and sets them up; they are closed at the end."""
        running: list[Executor] = []

        def start(make: Make, width: int = 2) -> Executor:
            executor = self.make(make, width)
            executor.setup()
            running.append(executor)
            return executor

        yield start
        for executor in running:
            executor.close()

    def test_it_is_one(self) -> None:
        executor = self.make(Calling(str), 2)
        assert isinstance(executor, Executor)
        assert 1 <= executor.width <= executor.capacity

    def test_each_outcome_has_the_position_of_its_item(self, started: Callable[..., Executor]) -> None:
        outcomes = started(Calling(lambda item: item * 2)).submit([5, 3, 8]).result(PATIENCE_S)
        assert [outcome.value for outcome in outcomes] == [10, 6, 16]
        assert not any(outcome.error for outcome in outcomes)

    @pytest.mark.parametrize("stride", [1, 7, 100])
    def test_results_keep_the_order_of_items(self, started: Callable[..., Executor], stride: int) -> None:
        outcomes = in_order(started(Calling(lambda item: item * 2)), range(100), stride)
        assert [outcome.value for outcome in outcomes] == [item * 2 for item in range(100)]

    def test_no_items_are_none(self, started: Callable[..., Executor]) -> None:
        executor = started(Calling(str))
        assert executor.submit([]).result(PATIENCE_S) == []
        assert list(in_order(executor, [])) == []

    def test_work_may_be_a_closure(self, started: Callable[..., Executor]) -> None:
        factor, table = 3, {"one": 1}
        [outcome] = started(Calling(lambda item: table[item] * factor)).submit(["one"]).result(PATIENCE_S)
        assert outcome.value == 3

    def test_large_values_arrive_as_they_were(self, started: Callable[..., Executor]) -> None:
        packet = Packet({"data": b"\xff" * 200_000, "text": "ä" * 100_000, "list": [1, {"a": None}]}, {"id": "7"})
        items = [b"x" * 1_000_000, bytearray(b"y" * 70_000), packet, "z" * 70_000, None]
        outcomes = started(Calling(lambda item: item)).submit(items).result(PATIENCE_S)
        assert [outcome.value for outcome in outcomes] == items
        assert [type(outcome.value) for outcome in outcomes] == [type(item) for item in items]

    # -- errors ---------------------------------------------------------------------------------------------

    def test_an_error_is_that_of_its_item(self, started: Callable[..., Executor]) -> None:
        outcomes = started(Calling(works.fail)).submit(range(6)).result(PATIENCE_S)
        assert [outcome.value for outcome in outcomes] == [0, None, 2, 3, None, 5]
        errors = [outcome.error for outcome in outcomes]
        assert [repr(error) for error in errors] == ["None", "ValueError('bad 1')", "None", "None", "ValueError('bad 4')", "None"]
        assert isinstance(errors[1], ValueError)

    def test_an_exit_is_an_error_like_others(self, started: Callable[..., Executor]) -> None:
        def leave(item: int) -> int:
            if item == 1:
                raise SystemExit(item)
            return item

        executor = started(Calling(leave))
        outcomes = executor.submit([0, 1, 2]).result(PATIENCE_S)
        assert [type(outcome.error).__name__ for outcome in outcomes] == ["NoneType", "SystemExit", "NoneType"]
        assert executor.submit([3]).result(PATIENCE_S)[0].value == 3

    # -- values that are sent -------------------------------------------------------------------------------

    def test_a_listener_hears_of_parts_before_their_outcome(self, started: Callable[..., Executor]) -> None:
        heard = Heard()
        outcomes = started(works.Sends).submit([2, 0, 13, 1_000], heard).result(PATIENCE_S)
        assert [outcome.value for outcome in outcomes] == [2, 0, None, 1_000]
        assert heard.parts == {0: [0, 1], 2: [*range(13)], 3: [*range(1_000)]}
        assert [*heard.outcomes] == [0, 1, 2, 3]
        assert str(heard.outcomes[2].error) == "thirteen"

    def test_a_listener_that_takes_its_time_holds_up_the_work(self, started: Callable[..., Executor]) -> None:
        heard = Heard()
        executor = started(works.Sends)
        if executor.capacity == 1:
            pytest.skip("the listener is called by whoever submits")
        heard.room.clear()
        future = executor.submit([200_000], heard)
        with pytest.raises(TimeoutError):
            future.result(0.5)
        assert not heard.parts
        heard.room.set()
        assert future.result(PATIENCE_S)[0].value == 200_000
        assert heard.parts == {0: [*range(200_000)]}

    def test_what_nobody_listens_to_comes_with_the_outcome(self, started: Callable[..., Executor]) -> None:
        outcomes = started(works.Sends).submit([2, 0, 13, 50_000]).result(PATIENCE_S)
        assert [outcome.value for outcome in outcomes] == [2, 0, None, 50_000]
        assert [[*outcome.parts] for outcome in outcomes] == [[0, 1], [], [], [*range(50_000)]]

    # -- batches --------------------------------------------------------------------------------------------

    def test_items_are_run_together_where_that_is_asked_for(self, started: Callable[..., Executor]) -> None:
        executor = started(works.Batches)
        outcomes = executor.submit([5, 3, 8], together=True).result(PATIENCE_S)
        assert [outcome.value for outcome in outcomes] == [(5, 3), (3, 3), (8, 3)]
        assert [[*outcome.parts] for outcome in outcomes] == [[16], [], []]
        assert [outcome.value for outcome in executor.submit([5, 3]).result(PATIENCE_S)] == [(5, 1), (3, 1)]
        assert executor.submit([7], together=True).result(PATIENCE_S)[0].value == (7, 1)

    def test_a_batch_with_too_few_outcomes_is_run_one_by_one(self, started: Callable[..., Executor]) -> None:
        outcomes = started(works.Batches).submit([5, works.FORGOTTEN, 8], together=True).result(PATIENCE_S)
        assert [outcome.value for outcome in outcomes] == [(5, 1), (works.FORGOTTEN, 1), (8, 1)]

    def test_a_batch_that_fails_is_run_one_by_one(self, started: Callable[..., Executor]) -> None:
        outcomes = started(works.Batches).submit([5, -1, 8], together=True).result(PATIENCE_S)
        assert [outcome.value for outcome in outcomes] == [(5, 1), None, (8, 1)]
        assert repr(outcomes[1].error) == "ValueError('-1')"
        assert [[*outcome.parts] for outcome in outcomes] == [[], [], []], "what the batch has sent is taken back"

    # -- set-up ---------------------------------------------------------------------------------------------

    def test_each_pool_worker_is_set_up_once(self, started: Callable[..., Executor], tmp_path: Path) -> None:
        folder = str(tmp_path)
        executor = started(lambda: works.Lives(folder))
        set_up = (tmp_path / "setup").read_text().splitlines()
        assert len(set_up) == len({*set_up}) == executor.width
        names = {outcome.value[0] for outcome in in_order(executor, range(50), 3)}
        assert names <= {*set_up}
        executor.close()
        assert (tmp_path / "setup").read_text().splitlines() == set_up
        assert sorted((tmp_path / "close").read_text().splitlines()) == sorted(set_up)

    def test_a_set_up_that_fails_is_told(self) -> None:
        executor = self.make(works.Never, 2)
        with pytest.raises(LookupError, match="no model"):
            executor.setup()
        with pytest.raises(ExecutorClosed):
            executor.submit([1])

    # -- room -----------------------------------------------------------------------------------------------

    def test_items_are_taken_only_as_far_ahead_as_there_is_room(self, started: Callable[..., Executor]) -> None:
        executor = started(Calling(str))
        taken: list[int] = []

        def items() -> Iterator[int]:
            for item in range(10_000):
                taken.append(item)
                yield item

        outcomes = in_order(executor, items(), 2)
        assert not taken
        for number in range(20):
            assert next(outcomes).value == str(number)
            assert len(taken) <= number + 2 + 2 * (AHEAD + 1) * executor.capacity

    def test_who_stops_early_leaves_room(self, started: Callable[..., Executor]) -> None:
        executor = started(Calling(str))
        for _ in range(3):
            outcomes = in_order(executor, range(100))
            assert next(outcomes).value == "0"
            outcomes.close()
        assert len([executor.submit([1]) for _ in range(executor.capacity)]) == executor.capacity

    def test_more_strides_than_there_is_room_for_are_refused(self, started: Callable[..., Executor], tmp_path: Path) -> None:
        executor, folder = started(Calling(lambda item: works.wait_for(item, "go"))), str(tmp_path)
        if executor.capacity == 1:
            pytest.skip("a stride is done when it was submitted")
        out = [executor.submit([folder]) for _ in range(executor.capacity)]
        with pytest.raises(ExecutorFull):
            executor.submit([folder])
        (tmp_path / "go").touch()
        assert [future.result(PATIENCE_S)[0].value for future in out] == ["go"] * len(out)
        assert executor.submit([folder]).result(PATIENCE_S)[0].value == "go"

    def test_as_many_run_at_once_as_it_is_wide(self, started: Callable[..., Executor], tmp_path: Path) -> None:
        def meet(name: str) -> str:
            return works.wait_for(folder, "b" if name == "a" else "a", name)

        folder = str(tmp_path)
        executor = started(Calling(meet))
        if executor.width == 1:
            pytest.skip("it is not wide")
        out = [executor.submit([name]) for name in ("a", "b")]
        assert [future.result(PATIENCE_S)[0].value for future in out] == ["b", "a"]

    def test_an_item_that_takes_long_holds_up_no_other_pool_worker(
        self, started: Callable[..., Executor], tmp_path: Path
    ) -> None:
        def work(item: Any) -> Any:
            return works.wait_for(folder, "go") if item == 0 else item

        folder = str(tmp_path)
        executor = started(Calling(work))
        if executor.width == 1:
            pytest.skip("it has one")
        slow = executor.submit([0])
        for item in range(1, 20):
            assert executor.submit([item]).result(PATIENCE_S)[0].value == item
        assert not slow.done()
        (tmp_path / "go").touch()
        assert slow.result(PATIENCE_S)[0].value == "go"

    # -- the end --------------------------------------------------------------------------------------------

    def test_nothing_is_taken_after_the_end(self, started: Callable[..., Executor]) -> None:
        executor = started(Calling(str))
        executor.close()
        with pytest.raises(ExecutorClosed):
            executor.submit([1])
        executor.close()  # a second time: nothing is left to end

    def test_closing_ends_what_is_out(self, started: Callable[..., Executor], tmp_path: Path) -> None:
        executor, folder = started(Calling(lambda item: works.wait_for(item, "go", "begun"))), str(tmp_path)
        if executor.capacity == 1:
            pytest.skip("a stride is done when it was submitted")
        out = [executor.submit([folder, folder]) for _ in range(executor.capacity)]
        begin = time.monotonic()
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < begin + PATIENCE_S
        self.let_go_after_closing(executor, tmp_path / "go")
        for future in out:
            with pytest.raises(ExecutorClosed):
                future.result(PATIENCE_S)

    def let_go_after_closing(self, executor: Executor, go: Path) -> None:
        """Close ``executor``; items that cannot be ended in their midst end when ``go`` is there."""
        executor.close()
        go.touch()

    def test_it_can_be_set_up_again(self, started: Callable[..., Executor]) -> None:
        executor = started(Calling(str))
        executor.close()
        executor.setup()
        assert executor.submit([1]).result(PATIENCE_S)[0].value == "1"
