"""Parting: how instances end, and how those of a generation let go of graphs that another one has taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from pypes import logs
from pypes.runtime.generations.generation import Generation, Instance, about

#: Time for an instance to tear down beyond its grace, before it is killed.
TEARDOWN_S = 2.0
#: Longest wait for an instance that takes the place of another, before the next one is replaced.
REPLACED_S = 60.0

log = logs.get("pypes.generations")


async def end(instances: list[Instance], grace_s: float) -> None:
    """Let instances finish what they have, and wait until they are gone."""
    if not instances:
        return
    for instance in instances:
        if instance.state == "starting":
            instance.kill()  # it has nothing yet that could be finished
        else:
            instance.stop(grace_s)
    waits = [asyncio.ensure_future(instance.exited.wait()) for instance in instances]
    await asyncio.wait(waits, timeout=grace_s + TEARDOWN_S)
    for instance in instances:
        if instance.state != "gone":
            log.warning("instance killed", **about(instance), reason="did not finish within its grace")
            instance.kill()
    await asyncio.wait(waits)


async def part(generation: Generation, grace_s: float, on_change: Callable[[], None]) -> None:
    """Have the instances of a generation let go of what it hosts no more; those that have nothing left end.

    One that does not within its grace, because a document stays in the old version of a graph (its destination is away), ends and
    is started again with what is left, so that the document goes to the new version.
    """
    idle = [i for slot, i in enumerate(generation.slots) if i is not None and slot in generation.vacant]
    parting = generation.serving
    for instance in parting:
        instance.leave()
    ends = asyncio.ensure_future(end(idle, grace_s))
    if parting:
        waits = [asyncio.ensure_future(instance.has_left.wait()) for instance in parting]
        _, late = await asyncio.wait(waits, timeout=grace_s + TEARDOWN_S)
        for wait in late:
            wait.cancel()
    for slot, each in enumerate(list(generation.slots)):
        if each is not None and each.leaving and each.state == "ready" and generation.is_open(slot):
            await _replace(generation, slot, each, on_change)
    await ends


async def _replace(generation: Generation, slot: int, instance: Instance, on_change: Callable[[], None]) -> None:
    """End an instance; the one that follows in its place does not have what has moved."""
    reason = "it did not let go of graphs that run elsewhere within its grace"
    log.warning("instance replaced", instance=instance.spec.id, graphs=sorted(instance.leaving), reason=reason)
    instance.is_replaced = True
    instance.stop(TEARDOWN_S)
    on_change()
    await end([instance], TEARDOWN_S)
    following = generation.slots[slot]
    if following is not None:
        # one after the other, so that what they host is not without any
        with suppress(TimeoutError):
            await asyncio.wait_for(following.setup_ended.wait(), REPLACED_S)
