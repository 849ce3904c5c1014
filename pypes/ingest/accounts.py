"""Accounts of finished deliveries, in a compact encoding for receipts.

Nearly all deliveries of a commit end alike: the same graph, version, counts, publishers. The commit says that once, as a *kind*;
a delivery has the number of its kind and two times. Only where documents of one delivery fared differently does it have
:class:`Details` of its own. In JSON, for all deliveries of a commit: ``[kinds, numbers, times, ids]``. ``numbers`` is 0 if
there is one kind only; ``times`` holds started and finished of each delivery, ms after the commit's key (-1: never started);
``ids`` is 0, or has an id or null for each.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from msgspec import structs

from pypes.ingest.delivery import Header
from pypes.ingest.outcome import DeadLetter, Details, Fate, Outcome
from pypes.ingest.receipt import DocumentReport

#: Fates of documents of which nothing but the outcome is known.
_UNKNOWN = {outcome: Fate(outcome) for outcome in ("published", "dropped", "failed")}


class Kind(NamedTuple):
    """End of a delivery. ``takers`` and ``filter`` are those of all its documents, empty if they differ.

    ``removed`` are publishers, in their order, that have removed parts of older versions, with how many. ``poster`` is that of
    the header. Both are stored only as far as they are not empty.
    """

    graph: str
    version: int
    accepted: int
    published: int
    dropped: int
    failed: int
    takers: tuple[str, ...]
    filter: str
    removed: tuple[tuple[str, int], ...] = ()
    poster: str = ""

    def to_obj(self) -> list[Any]:
        return [*self] if self.poster else [*self[:-1]] if self.removed else [*self[:-2]]

    @classmethod
    def from_obj(cls, form: Sequence[Any]) -> Kind:
        """Inverse of :meth:`to_obj`; raises ``TypeError`` or ``ValueError`` for anything else."""
        graph, version, accepted, published, dropped, failed, takers, filter, *rest = form
        removed = tuple((name, count) for name, count in rest[0]) if rest else ()
        poster = rest[1] if len(rest) > 1 else ""
        return cls(graph, version, accepted, published, dropped, failed, tuple(takers), filter, removed, poster)

    @property
    def outcome(self) -> str:
        """Common outcome of all documents; ``""`` if their outcomes differ."""
        for outcome, count in (("published", self.published), ("dropped", self.dropped), ("failed", self.failed)):
            if count == self.accepted:
                return outcome
        return ""


class Account(NamedTuple):
    """A finished delivery: its kind, when it was started and finished (ms after its key), the id of its one document."""

    kind: Kind
    started: int
    finished: int
    id: str | None


class Counts(NamedTuple):
    """Documents of a graph, in all: those accepted, and what became of them."""

    accepted: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0

    def plus(self, other: Counts, times: int = 1) -> Counts:
        """The sum of these counts and so many times others."""
        accepted, published, dropped, failed = other
        return Counts(
            self.accepted + times * accepted,
            self.published + times * published,
            self.dropped + times * dropped,
            self.failed + times * failed,
        )


NONE = Counts()


def count(accounts: Iterable[Account | None], counts: dict[str, Counts]) -> None:
    """Add the documents of finished deliveries to the ``counts`` of their graphs."""
    last: Kind | None = None
    times = 0
    for account in accounts:
        if account is None:
            continue
        kind = account[0]
        if kind is last:  # PERF: shared objects nearly always
            times += 1
            continue
        if last is not None:
            _count(last, times, counts)
        last, times = kind, 1
    if last is not None:
        _count(last, times, counts)


def _count(kind: Kind, times: int, counts: dict[str, Counts]) -> None:
    _, _, accepted, published, dropped, failed, *_ = kind
    known = counts.get(kind[0])
    if known is None:
        counts[kind[0]] = Counts(times * accepted, times * published, times * dropped, times * failed)
    else:
        counts[kind[0]] = known.plus(Counts(accepted, published, dropped, failed), times)


def count_encoded(data: str, counts: dict[str, Counts]) -> None:
    """As :func:`count`, for the accounts of a commit as :func:`encode` gives them; raises ``ValueError`` for anything else."""
    try:
        forms, numbers, times, _ = orjson.loads(data)
        places = Counter(numbers) if numbers else {0: len(times) // 2}
        for number, times_seen in places.items():
            _count(Kind.from_obj(forms[number]), times_seen, counts)
    except (TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"not the accounts of a commit: {error}") from error


def kind_of(header: Header, outcome: Outcome) -> Kind:
    """Account of a delivery with this outcome."""
    fates = outcome.details.fates if outcome.details is not None else ()
    takers, filter = (fates[0].takers, fates[0].filter) if len(fates) == 1 else ((), "")
    if not fates and len(outcome.dead_letters) == 1 and outcome.failed == header.documents:
        filter = outcome.dead_letters[0].filter
    removed = tuple(sorted(outcome.removed.items())) if outcome.removed else ()
    counts = outcome.published, outcome.dropped, outcome.failed
    return Kind(header.graph, outcome.version, header.documents, *counts, takers, filter, removed, header.poster)


def details_of(documents: int, outcome: Outcome) -> Details | None:
    """Details of the documents that the account alone does not show; ``None`` if it shows everything."""
    details, letters = outcome.details, outcome.dead_letters
    if details is None:
        if not letters and documents in (outcome.published, outcome.dropped, outcome.failed):
            return None
        return _guess(documents, outcome)
    if len(details.fates) > 1 or details.letters or letters or details.files or (details.ids and documents > 1):
        if letters and not details.letters and not details.spans:
            named = _letters(letters, documents)
            return structs.replace(details, letters=named)
        return details
    return None


def _letters(letters: Sequence[DeadLetter], documents: int) -> dict[int, str]:
    """Document → dead letter; one that names no documents stands for all of them."""
    found: dict[int, str] = {}
    for letter in letters:
        for document in letter.ordinals or range(documents):
            found.setdefault(document, letter.id)
    return found


def _guess(documents: int, outcome: Outcome) -> Details:
    """Details of an outcome that came without: what its dead letters name has failed; of the rest, only the counts are known."""
    named = _letters(outcome.dead_letters, documents)
    filters = {letter.id: letter.filter for letter in outcome.dead_letters}
    rest = iter(["published"] * outcome.published + ["dropped"] * outcome.dropped + ["failed"] * documents)
    failed = outcome.failed
    fates: dict[Fate, int] = {}
    runs: list[int] = []
    for document in range(documents):
        if document in named and failed:
            failed -= 1
            fate = Fate("failed", (), filters[named[document]])
        else:
            fate = _UNKNOWN[next(rest)]
        number = fates.setdefault(fate, len(fates))
        if runs and runs[-1] == number:
            runs[-2] += 1
        else:
            runs += (1, number)
    return Details(tuple(fates), tuple(runs), None, named or None)


def encode(accounts: Sequence[Account]) -> tuple[str, bool]:
    """The accounts of a whole commit as the store keeps them, and whether anything in it failed."""
    kinds: dict[Kind, int] = {}
    numbers: list[int] = []
    times: list[int] = []
    has_ids = has_failed = False
    last: Kind | None = None
    number = 0
    for kind, started, finished, id in accounts:
        if kind is not last:  # PERF: shared objects nearly always
            last = kind
            number = kinds.setdefault(kind, len(kinds))
            has_failed = has_failed or kind.failed > 0
        numbers.append(number)
        times += (started, finished)
        if id is not None:
            has_ids = True
    ids = [account[3] for account in accounts] if has_ids else 0
    return orjson.dumps([[kind.to_obj() for kind in kinds], numbers if len(kinds) > 1 else 0, times, ids]).decode(), has_failed


def decode(data: str | bytes) -> list[Account]:
    """Inverse of :func:`encode`; raises ``ValueError`` for anything else."""
    return list(_decode(orjson.loads(data)))


def _decode(obj: Any) -> Iterator[Account]:
    try:
        forms, numbers, times, ids = obj
        kinds = [Kind.from_obj(form) for form in forms]
        if len(times) % 2:
            raise TypeError("a time is missing")
        for position in range(len(times) // 2):
            kind = kinds[numbers[position] if numbers else 0]
            yield Account(kind, times[2 * position], times[2 * position + 1], ids[position] if ids else None)
    except (TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"not the accounts of a commit: {error}") from error


def encode_some(accounts: Sequence[Account | None]) -> str:
    """The accounts of a commit that is finished in part: ``[positions, accounts]``."""
    some = [(position, account) for position, account in enumerate(accounts) if account is not None]
    return f"[{orjson.dumps([p for p, _ in some]).decode()},{encode([a for _, a in some])[0]}]"


def decode_some(data: str) -> dict[int, Account]:
    """Inverse of :func:`encode_some`, by position."""
    positions, accounts = orjson.loads(data)
    return dict(zip(positions, _decode(accounts), strict=True))


class _Spans:
    """The dead letters that stand for many documents, by document."""

    def __init__(self, spans: Mapping[str, Sequence[int]]) -> None:
        self._spans = sorted(
            (first, count, id) for id, own in spans.items() for first, count in zip(own[::2], own[1::2], strict=True)
        )
        self._firsts = [first for first, _, _ in self._spans]

    def of(self, document: int) -> str | None:
        at = bisect_right(self._firsts, document)
        # those of several letters may lie in one another; nearly always the nearest is it
        for first, count, id in reversed(self._spans[:at]):
            if document < first + count:
                return id
        return None


def report(account: Account, details: Details | None, limit: int, after: int) -> list[DocumentReport]:
    """Up to ``limit`` documents of a finished delivery beyond the ordinal ``after``."""
    kind = account.kind
    start, end = after + 1, min(kind.accepted, after + 1 + limit)
    if details is None:
        fate = Fate(kind.outcome or "published", kind.takers, kind.filter)
        return [DocumentReport(i, fate.outcome, account.id, fate.takers, fate.filter) for i in range(start, end)]
    ids, letters, spans = details.ids or {}, details.letters or {}, _Spans(details.spans or {})
    files, route = details.files or {}, details.route
    reports = []
    index = 0
    for count, number in zip(details.runs[::2], details.runs[1::2], strict=True):
        fate = details.fates[number]
        for i in range(max(start, index), min(end, index + count)):
            id = ids.get(i, account.id if kind.accepted == 1 else None)
            letter = (letters.get(i) or spans.of(i)) if fate.outcome == "failed" else None
            file = files.get(i, details.file)
            reports.append(DocumentReport(i, fate.outcome, id, fate.takers, fate.filter, letter, file, route))
        index += count
        if index >= end:
            break
    return reports


def report_pending(header: Header, limit: int, after: int) -> list[DocumentReport]:
    """Up to ``limit`` documents of an unfinished delivery, with their description in the request."""
    id, file, route = header.named
    places = range(after + 1, min(header.documents, after + 1 + limit))
    return [DocumentReport(i, "pending", id, file=file, route=route) for i in places]
