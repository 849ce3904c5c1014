"""Verdict on the end of an instance, and its consequences for the deliveries in hand.

Nobody can tell which of the deliveries that ran together killed an instance: all of them are suspects and run again alone. The
one that was running alone is charged: with the document that the instance's crash record names, which is dead-lettered while the
others run, or, if it names none, with a crash, of which the third is the last. What somebody else's kill hits is charged
with nothing.
"""

from __future__ import annotations

import logging
from typing import Any

from pypes.ingest.contracts.leasing import Lease
from pypes.ingest.dispatch.link import Link, Sent
from pypes.ingest.outcome import ExitReason, Poison

log = logging.getLogger(__name__)

#: So often may a delivery that runs alone see its instance die without a document named, before it goes to the dead letters.
MAX_CRASHES = 3


def judge(link: Link, reason: ExitReason | None) -> Lease | None:
    """Charge the deliveries that a dead instance had in hand; removes and returns the one dead-lettered.

    ``reason``: as far as known.
    """
    if link.begun is None:
        for sent in link.outstanding.values():
            sent.is_alone = True
        return None
    begun = link.outstanding.get(link.begun)
    if begun is None:
        return None  # the lone run was another worker's, or is over: nothing else was begun since
    begun.is_alone = True
    if reason is not None and reason.is_outside:
        return None
    if reason is not None and _charge(begun, reason, link.id):
        return None
    crashes = begun.leasing.record_crash(begun.lease)
    extra = {**_log_fields(begun), "instance": link.id, "crashes": crashes}
    log.warning("instance died while it ran one delivery alone", extra=extra)
    if crashes < MAX_CRASHES:
        return None
    link.take(link.begun)
    cause = f" ({reason.cause})" if reason is not None and reason.cause else ""
    error = f"the instance died {crashes} times while it ran nothing but this delivery{cause}"
    begun.leasing.dead_letter(begun.lease, "instance.killed", error)
    return begun.lease


def _charge(begun: Sent, reason: ExitReason, instance: int) -> bool:
    """Charge the document that the crash record names; False if it names none, or one that is already left out."""
    lease = begun.lease
    document = 0 if lease.header.documents == 1 else reason.document
    if not reason.filter or document < 0:
        return False
    known = begun.leasing.rerun(lease)
    if known is not None and any(poison.document == document for poison in known.poisons):
        return False
    extra = {**_log_fields(begun), "index": document, "instance": instance, "filter": reason.filter, "cause": reason.cause}
    log.warning("the instance died while it ran one document alone", extra=extra)
    begun.leasing.record_poison(lease, Poison(document, reason.filter, reason.cause))
    return True


def _log_fields(begun: Sent) -> dict[str, Any]:
    """Fields of a log line about a delivery."""
    return {"receipt": begun.lease.id, "graph": begun.lease.header.graph, **begun.lease.header.named.log_fields()}
