"""Neither the component nor the proxy gets far ahead of the other."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from pypes.placement.conversation import PART_BYTES, PART_VALUES, Conversation
from pypes.placement.executor import ExecutorClosed, Outcome
from pypes.placement.words import Sent


def test_parts_and_outcomes_are_those_of_their_packets() -> None:
    talk = Conversation(["a", "b"])
    talk.part(0, Sent("out", 1), 10)
    talk.outcome(0, Outcome("done"))
    talk.part(1, Sent("odd", 2), 10)
    assert talk.take(0) == ([Sent("out", 1)], Outcome("done"))
    assert talk.take(1) == ([Sent("odd", 2)], None)
    assert talk.take(1) == ([], None)
    waiting = talk.news()
    assert not waiting.done()
    talk.outcome(1, Outcome(None))
    assert waiting.done()
    assert talk.take(1) == ([], Outcome(None))


def test_who_sends_waits_until_enough_was_taken() -> None:
    for values, size in ((PART_VALUES, 1), (1, PART_BYTES)):
        talk = Conversation(["a"])
        for number in range(values):
            talk.part(0, Sent("out", number), size)
        assert talk.news().done(), "it is full"
        sender = threading.Thread(target=talk.part, args=(0, Sent("out", "last"), 1))
        sender.start()
        assert len(talk.take(0)[0]) == values
        sender.join(30)
        assert talk.take(0)[0] == [Sent("out", "last")]


def test_who_is_left_does_not_wait() -> None:
    talk = Conversation(["a"])
    talk.leave()
    for number in range(2 * PART_VALUES):
        talk.part(0, Sent("out", number), 1)
    assert talk.news().done()


def test_an_end_without_outcomes_is_told() -> None:
    talk = Conversation(["a", "b"])
    talk.outcome(0, Outcome("done"))
    future: Future[list[Outcome]] = Future()
    future.set_exception(ExecutorClosed("closed"))
    talk.ended(future)
    assert talk.news().done()
    assert talk.take(0) == ([], Outcome("done"))
    outcome = talk.take(1)[1]
    assert outcome is not None
    assert isinstance(outcome.error, ExecutorClosed)
