"""Dead letters of a queue in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import structs

from pypes.access.audit import ITSELF, Cause
from pypes.errors import NotFound
from pypes.ingest.deadletter import SHOWN_BYTES, STEPS, History, KeptLetter, LetterGroup, LetterQuery, Origin, Replayed
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter, receipt_of
from pypes.ingest.receipt import received_of
from pypes.ingest.replaying import from_filter, from_the_start, is_versioned_part, link_of, together, traced
from pypes.ingest.replaying import from_start as start_again
from pypes.ingest.store.write_batch import DELETE, EDIT, REPLAY
from tests.ingest.memory.bodies import link_body
from tests.ingest.memory.intake import MemoryIntake
from tests.ingest.memory.shelf import Shelf
from tests.ingest.memory.step import step


class MemoryLetters:
    def __init__(self, shelf: Shelf, intake: MemoryIntake) -> None:
        self._shelf = shelf
        self._intake = intake

    async def find(
        self, query: LetterQuery | None = None, limit: int = 100, after: str = "", *, newest: bool = False
    ) -> list[DeadLetter]:
        await step()
        query, letters = query or LetterQuery(), self._shelf.letters
        beyond = [id for id in sorted(letters, reverse=newest) if not after or (id < after if newest else id > after)]
        matching = (letters[id] for id in beyond if query.matches(letters[id]))
        return [structs.replace(letter, packet=b"", traceback="") for letter in matching][:limit]

    async def get(self, id: str) -> KeptLetter | None:
        await step()
        letter = self._shelf.letters.get(id)
        if letter is None:
            return None
        remains = self._shelf.bodies[letter.receipt]
        header = Header.decode(remains.header or b"")
        body = remains.body if remains.size <= SHOWN_BYTES else None
        size = remains.size if remains.has_body else 0
        is_edited = id in self._shelf.edited
        return KeptLetter(letter, is_edited, remains.has_body, body, header.content_type, header.encoding, size)

    async def origin(self, id: str) -> Origin | None:
        await step()
        letter = self._shelf.letters.get(id)
        if letter is None:
            return None
        remains = self._shelf.bodies[letter.receipt]
        named = structs.replace(letter, packet=b"", traceback="")
        return Origin(named, received_of(letter.receipt), Header.decode(remains.header or b""), remains.body, remains.spool or "")

    async def groups(self, query: LetterQuery | None = None, history: History | None = None) -> list[LetterGroup]:
        await step()
        query = query or LetterQuery()
        alike = [letter for letter in self._shelf.letters.values() if query.matches(letter)]
        counts = Counter((letter.graph, letter.filter, letter.code) for letter in alike)
        failures: Counter[tuple[str, str, str]] = Counter()
        for letter in alike:
            failures[letter.graph, letter.filter, letter.code] += letter.failures
        latest = {(letter.graph, letter.filter, letter.code): letter.time for letter in sorted(alike, key=lambda a: a.time)}
        steps: dict[tuple[str, str, str], list[int]] = {}
        for letter in alike:
            if history is not None and letter.time >= history.since:
                at = min(int((letter.time - history.since) / history.step_s), STEPS - 1)
                steps.setdefault((letter.graph, letter.filter, letter.code), [0] * STEPS)[at] += 1
        return [
            LetterGroup(*place, count, latest[place], failures[place], tuple(steps.get(place, ())))
            for place, count in sorted(counts.items(), key=lambda c: (-c[1], c[0]))
        ]

    async def edit(self, id: str, packet: bytes, cause: Cause = ITSELF) -> bool:
        await step()
        shelf = self._shelf
        if id not in shelf.letters:
            return False
        shelf.letters[id] = structs.replace(shelf.letters[id], packet=packet)
        shelf.edited.add(id)
        shelf.count_letters()
        shelf.note(cause, EDIT, graph=shelf.letters[id].graph, object=id)
        return True

    async def delete(self, ids: Sequence[str], cause: Cause = ITSELF) -> int:
        await step()
        graphs = {id: self._shelf.letters[id].graph for id in ids if id in self._shelf.letters}
        gone = [id for id in ids if self._shelf.delete_letter(id)]
        for graph in dict.fromkeys(graphs[id] for id in gone):
            own = [id for id in gone if graphs[id] == graph]
            self._shelf.note(cause, DELETE, graph=graph, object=min(own), count=len(own))
        return len(gone)

    async def replay(self, id: str, from_start: bool, is_traced: bool = False, cause: Cause = ITSELF) -> str:
        replayed = await self.replay_together([id], from_start, is_traced, cause)
        if not replayed.left:
            return replayed.receipt
        shelf = self._shelf
        letter, (old, _, is_needed) = shelf.letters[id], self._kept(receipt_of(id))
        header, packet = from_filter(letter, old, is_edited=id in shelf.edited, is_needed=is_needed)
        receipt = shelf.put(traced(header, is_traced), packet, is_replay=True)
        shelf.links[receipt] = link_of([letter], header, from_start=False)
        shelf.delete_letter(id)
        shelf.note(cause, REPLAY, graph=letter.graph, object=id, receipt=receipt)
        return await self._intake.later(receipt)

    async def replay_together(
        self, ids: Sequence[str], from_start: bool | None, is_traced: bool = False, cause: Cause = ITSELF
    ) -> Replayed:
        await step()
        shelf = self._shelf
        asked = [shelf.letters[id] for id in ids if id in shelf.letters]
        if not asked:
            raise NotFound("no such dead letter; it may have been replayed or deleted", code="deadletters.not_found")
        parts = {letter.id for letter in asked if is_versioned_part(letter.packet)}
        first = from_the_start(((letter, letter.id in shelf.edited) for letter in asked), parts, is_wanted=from_start)
        if not first:
            return Replayed("", 0, tuple(letter.id for letter in asked))
        origin = first[0].receipt
        letters = together(first, [letter for letter in shelf.letters.values() if letter.receipt == origin])
        header, body = start_again(letters, *self._kept(origin)[:2])
        if isinstance(body, Spooled):
            body = link_body(body, f"{body.path}-{shelf.last_key + 1:x}")
        receipt = shelf.put(traced(header, is_traced), body, is_replay=True)
        shelf.links[receipt] = link_of(letters, header, from_start=True)
        edits = sum(letter.id in shelf.edited for letter in letters)
        gone = {letter.id for letter in letters if shelf.delete_letter(letter.id)}
        shelf.note(cause, REPLAY, graph=letters[0].graph, object=min(gone), count=len(gone), receipt=receipt)
        return Replayed(receipt, len(gone), tuple(letter.id for letter in asked if letter.id not in gone), edits)

    def _kept(self, receipt: str) -> tuple[Header, bytes | Spooled | None, bool]:
        remains = self._shelf.bodies[receipt]
        kept = Spooled(self._shelf.paths[receipt], remains.size) if remains.spool else remains.body
        return Header.decode(remains.header or b""), kept, remains.is_needed
