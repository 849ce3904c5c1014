"""Who is charged when an instance dies."""

from __future__ import annotations

import pytest

from pypes.ingest import protocol
from pypes.ingest.outcome import ExitReason, Poison
from tests.ingest import harness
from tests.ingest.dispatch.harness import ScriptedInstance, dispatching, post, run, state_of, topology


@run
async def test_only_who_was_begun_alone_is_charged(instances: list[ScriptedInstance]) -> None:
    """The third death while it runs alone is the last; those that only waited beside it pass."""
    async with dispatching() as (dispatcher, queue, _):
        poison, neighbour = await post(queue), await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(2)
        instances[0].die()
        dispatcher.gone(1)
        for number in (2, 3, 4):
            each = instances[number - 1]
            dispatcher.apply(topology(each, first=number))
            items = await each.got(2)
            assert [(item.receipt, item.is_alone) for item in items] == [(poison, True), (neighbour, True)]
            await each.say(protocol.begin(items[0].number))
            each.die()
            dispatcher.gone(number)
        dispatcher.apply(topology(instances[4], first=5))
        [item] = await instances[4].got(1)
        assert item.receipt == neighbour
        assert await state_of(queue, poison) == "failed"
        [letter] = await queue.letters.find()
        assert (letter.code, letter.graph) == ("instance.killed", "g")
        await instances[4].say(protocol.acks([protocol.Published(1, ("out",), [item.number], [])], []))
        assert await state_of(queue, neighbour) == "done"


@run
async def test_another_workers_lone_run_makes_nobody_a_suspect(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(1)
        await instances[0].say(protocol.begin(-1))
        instances[0].die()
        dispatcher.gone(1)
        dispatcher.apply(topology(instances[1], first=2))
        [item] = await instances[1].got(1)
        assert not item.is_alone


@run
async def test_after_the_end_of_a_lone_run_all_are_suspects_again(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        await post(queue)
        dispatcher.apply(topology(instances[0]))
        await instances[0].got(1)
        await instances[0].say(protocol.begin(-1), protocol.signal(protocol.END))
        instances[0].die()
        dispatcher.gone(1)
        dispatcher.apply(topology(instances[1], first=2))
        [item] = await instances[1].got(1)
        assert item.is_alone


@run
async def test_the_document_that_a_crash_record_names_is_charged_and_the_rest_runs_again(
    instances: list[ScriptedInstance],
) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipt = await post(queue, documents=3)
        dispatcher.apply(topology(instances[0]))
        [item] = await instances[0].got(1)
        await instances[0].say(protocol.begin(item.number), protocol.committed(item.number, "out", [0], 1))
        instances[0].die()
        dispatcher.gone(1, ExitReason("killed by SIGSEGV", "pdf", 1))
        # charged already, and dead of the same: the crash record does not lead to who is guilty
        for number in (2, 3, 4):
            each = instances[number - 1]
            dispatcher.apply(topology(each, first=number))
            [item] = await each.got(1)
            assert (item.receipt, item.is_alone) == (receipt, True)
            assert item.rerun == protocol.Rerun((Poison(1, "pdf", "killed by SIGSEGV"),), {"out": (0,)}, version=1)
            await each.say(protocol.begin(item.number))
            each.die()
            dispatcher.gone(number, ExitReason("killed by SIGSEGV", "pdf", 1))
        assert await state_of(queue, receipt) == "failed"
        assert not dispatcher._handover.committed, "what is done is remembered no longer"


@run
async def test_a_kill_from_outside_is_charged_to_nobody(instances: list[ScriptedInstance]) -> None:
    async with dispatching() as (dispatcher, queue, _):
        receipt = await post(queue)
        for number in (1, 2, 3, 4):
            each = instances[number - 1]
            dispatcher.apply(topology(each, first=number))
            [item] = await each.got(1)
            await each.say(protocol.begin(item.number))
            each.die()
            dispatcher.gone(number, ExitReason("killed by SIGKILL", "pdf", 0, is_outside=True))
        dispatcher.apply(topology(instances[4], first=5))
        [item] = await instances[4].got(1)
        assert (item.receipt, item.rerun) == (receipt, None)


def test_log_lines_say_which_document_it_was(instances: list[ScriptedInstance], caplog: pytest.LogCaptureFixture) -> None:
    receipts: list[str] = []

    async def main() -> None:
        async with dispatching() as (dispatcher, queue, _):
            receipt = await post(queue, documents=3, filename="x.csv", route="r")
            for number in (1, 2, 3, 4):
                each = instances[number - 1]
                dispatcher.apply(topology(each, first=number))
                [item] = await each.got(1)
                await each.say(protocol.begin(item.number))
                each.die()
                dispatcher.gone(number, ExitReason("killed by SIGSEGV", "pdf", 1))
            assert await state_of(queue, receipt) == "failed"
            receipts.append(receipt)

    harness.run(main())
    known = {"receipt": receipts[0], "graph": "g", "file": "x.csv", "route": "r"}
    for line, more in (
        ("the instance died while it ran one document alone", {"index": 1, "filter": "pdf", "cause": "killed by SIGSEGV"}),
        ("instance died while it ran one delivery alone", {"crashes": 1}),
        ("documents failed", {"failed": 3, "code": "instance.killed"}),
    ):
        record = next(record for record in caplog.records if record.message == line)
        assert vars(record).items() >= {**known, **more}.items()
