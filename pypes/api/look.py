"""A look at the whole node: what ``/status`` answers, and the page shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pypes.core.clock import wall
from pypes.core.secrets import masked
from pypes.ingest.deadletter import LetterGroup, LetterQuery
from pypes.ingest.receipt import rfc3339
from pypes.observe.concerns import NEWS_S, concerns

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Causes of dead letters that are news, of which one letter is looked at.
MOST_CAUSES: Final = 5


async def look(
    worker: IngestWorker, may_name: Callable[[str], bool] = lambda graph: True
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The status of the node as JSON values with its ``concerns``, and its dead letters by cause, most first.

    ``may_name`` as for :func:`concerns`.
    While a shard cannot be asked, there are no causes: the status says which shard that is.
    Raises :class:`Unavailable` without a connection to the supervisor.
    """
    status: dict[str, Any] = msgspec.to_builtins(await worker.snapshot())
    status["fleet"] = msgspec.to_builtins(worker.members.all)
    # one that cannot be asked, because its worker is stopped or being replaced, would hold up the whole look
    can_ask = all(shard["queue"] is not None for shard in status["shards"])
    groups = (await worker.own_records.letter_groups(LetterQuery())).found if can_ask else []
    causes = [
        {"graph": each.graph, "filter": each.filter, "code": each.code, "count": each.count, "latest": rfc3339(each.latest)}
        for each in groups
    ]
    now = wall()
    news = [(cause, group) for cause, group in zip(causes, groups, strict=True) if now - group.latest <= NEWS_S]
    told = [cause | await _example(worker, group) for cause, group in news[:MOST_CAUSES]]
    status["concerns"] = [each._asdict() for each in concerns(status, told, now, may_name)]
    found: dict[str, Any] = masked(status)
    return found, causes


async def _example(worker: IngestWorker, group: LetterGroup) -> dict[str, str]:
    """Error and receipt of the newest dead letter of a group."""
    query = LetterQuery(graph=group.graph, filter=group.filter, code=group.code)
    letters = (await worker.own_records.letters(query, 1, "", newest=True)).found
    return {"error": letters[0].error, "receipt": letters[0].receipt} if letters else {}
