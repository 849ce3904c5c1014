"""What had been promised when the power went, and whether a reopened queue keeps it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pypes.core.limits import Limits
from pypes.ingest.contracts.leasing import Lease
from pypes.ingest.delivery import Spooled
from pypes.ingest.outcome import DeadLetter, receipt_of
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.receipt import Receipt, ReceiptQuery
from pypes.ingest.store.shards import Shards
from tests.faults.power.script import MANY, Said, body_of, edited, header_of, key_of
from tests.ingest.harness import lease_any

#: A queue whose store is in pieces may try to read it for ever.
_CHECK_S = 5.0


@dataclass(slots=True)
class Ledger:
    """Everything said up to a point of the recording."""

    accepted: dict[str, int] = field(default_factory=dict)  # receipt → number of what was posted
    finishing: dict[str, list[str]] = field(
        default_factory=dict
    )  # receipt → dead letters it will leave ("?": one, of unknown id)
    replaying: set[str] = field(default_factory=set)  # dead letters
    replayed: dict[str, str] = field(default_factory=dict)  # receipt → the dead letter it stands for
    editing: set[str] = field(default_factory=set)
    edited: set[str] = field(default_factory=set)
    deleting: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    def hear(self, text: str) -> None:
        said = msgspec.json.decode(text, type=Said)
        if said.what == "accepted":
            self.accepted[said.receipt] = said.n
        elif said.what == "finishing":
            self.finishing[said.receipt] = said.letters
        elif said.what == "replayed":
            self.replayed[said.receipt] = said.letter
        else:
            getattr(self, said.what).add(said.letter)


@dataclass(slots=True)
class Reopened:
    """All that a queue has after the power came back."""

    leases: dict[str, Lease]
    letters: dict[str, DeadLetter]
    receipts: dict[str, Receipt]


async def check(data: Path, ledger: Ledger) -> list[str]:
    """Open the queue in ``data`` and name everything in it that breaks a promise."""
    try:
        queue = await EmbeddedQueue.open(Shards(data).lock(0), node=1, limits=Limits(), durability="never")
    except Exception as error:
        return [f"it does not open: {error!r}"]
    try:
        async with asyncio.timeout(_CHECK_S):
            return await _check(queue, ledger)
    except Exception as error:
        return [f"it cannot be read: {error!r}"]
    finally:
        await queue.close()


async def _check(queue: EmbeddedQueue, ledger: Ledger) -> list[str]:
    expected = queue.stats().deliveries
    leases = await _drain(queue)
    letters = {letter.id: letter for letter in await queue.letters.find(limit=10_000)}
    receipts = {receipt.receipt: receipt for receipt in await queue.receipts.find(ReceiptQuery(), 10_000)}
    found = Reopened({lease.id: lease for lease in leases}, letters, receipts)
    broken = [f"{len(leases)} deliveries, leased as {len(found.leases)}"] if len(leases) != len(found.leases) else []
    broken += [f"{expected} deliveries counted, {len(leases)} found"] if expected != len(leases) else []
    for lease in leases:
        broken += _altered(lease)
    for receipt, n in ledger.accepted.items():
        broken += [f"{receipt} ({n}): {problem}" for problem in _missing(ledger, found, receipt)]
    for receipt, letter in ledger.replayed.items():
        broken += [f"{receipt} (replay of {letter}): {problem}" for problem in _missing(ledger, found, receipt)]
        broken += [f"{letter} was replayed and is still there"] if letter in letters else []
    broken += [f"{letter} was deleted and is there again" for letter in ledger.deleted & letters.keys()]
    for kept in letters.values():
        was_edited = kept.id in ledger.edited
        if kept.packet != edited(kept.id) if was_edited else b"edited" in kept.packet and kept.id not in ledger.editing:
            broken.append(f"{kept.id} is not as it was edited")
    broken += await _works(queue, ledger)
    return broken


async def _drain(queue: EmbeddedQueue) -> list[Lease]:
    ready = asyncio.Event()
    queue.leasing.on_ready = ready.set
    leases: list[Lease] = []
    while queue.stats().ready:
        ready.clear()
        found = lease_any(queue, 1000, MANY)
        leases += found
        if not found:
            with contextlib.suppress(TimeoutError):  # what turns out to be damaged never becomes ready
                await asyncio.wait_for(ready.wait(), 0.05)
    return leases


def _altered(lease: Lease) -> list[str]:
    if lease.header.replays and lease.header.start:
        return []
    body = Path(lease.body.path).read_bytes() if isinstance(lease.body, Spooled) else lease.body
    n = int(lease.header.id or -1)
    if bytes(body) != body_of(n):
        return [f"{lease.id} ({n}): {len(body)} bytes that were never posted"]
    if not lease.header.replays and lease.header != header_of(n):
        return [f"{lease.id} ({n}): its header is another"]
    return []


def _missing(ledger: Ledger, found: Reopened, receipt: str) -> list[str]:
    left = [id for id in found.letters if receipt_of(id) == receipt]
    state = found.receipts.get(receipt)
    if receipt in found.leases:
        problems = [f"runs again, and has left {left}"] if left else []
        return problems if state is not None and state.state in ("queued", "processing") else [*problems, f"is {state}"]
    if receipt not in ledger.finishing:
        return ["it is lost"]
    if state is None or state.state not in ("done", "failed"):
        return [f"finished, but its receipt is {state}"]
    expected = ledger.finishing[receipt]
    if expected and not left:
        gone = ledger.replaying | ledger.deleting
        if not any(receipt_of(id) == receipt for id in gone):
            return ["its dead letter is lost"]
    return []


async def _works(queue: EmbeddedQueue, ledger: Ledger) -> list[str]:
    """The queue takes and gives deliveries, and knows the keys of those it has taken."""
    broken = []
    n = 1_000_001
    receipt = await queue.intake.append(header_of(n), body_of(n))
    if [lease.id for lease in await _drain(queue)] != [receipt]:
        broken.append("what is posted after the restart is not leased")
    keyed = [(known, posted, key) for known, posted in ledger.accepted.items() if (key := key_of(posted)) is not None]
    again = await asyncio.gather(*[queue.intake.append(header_of(posted), body_of(posted), key=key) for _, posted, key in keyed])
    for (known, posted, _), receipt in zip(keyed, again, strict=True):
        if receipt != known:
            broken.append(f"{known} ({posted}): its key gives another receipt, {receipt}")
    return broken
