"""Regex: find, replace and choose by regular expressions in linear time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pypes import Example, Help, Packet, Parameters, Reject, Transformer
from pypes.errors import InvalidInput, Problem
from pypes_basic.patterns import Patterns, Replacement, compiled, matches


class Regex(Transformer):
    r"""Extract, replace, or choose packets by regular expressions, in a time that grows with the text and no faster (RE2).

    It looks at the texts of ``field``, each of its values; other values count as without a match. What it does:

    - ``extract``: what a group with a name matches, ``(?P<year>\d{4})``, goes into the field of that name. A pattern without
      such groups fills ``target``: with its first group, or with all that it matches. With ``every``, fields get all matches, one
      value each, else the first one. Fields without a match stay as they are.
    - ``replace``: every match of the patterns, one after the other, becomes ``replacement``, in which ``\1`` and ``\g<name>``
      stand for groups.
    - ``match``: packets in which one of the patterns is found go on; others go to ``unmatched``, or are dropped.
    - ``drop``: the other way round.

    Many patterns are looked for in one pass (``match``, ``drop``), or those that occur are found in one (``extract``).
    Look-around and back-references do not exist in RE2: a graph with such a pattern is refused. More than ``most`` matches in one
    value make a dead letter (``regex.too_many``). Deletions pass. ``replaced`` and ``extracted`` count matches.
    """

    icon = "regex"
    tags = ("fields", "text", "rules")
    example = Example(
        takes=Packet({"text": "Printed 1815 in London, again 1816."}),
        gives=Packet({"text": "Printed 1815 in London, again 1816.", "year": "1815"}),
        params={"patterns": [r"(?P<year>1\d{3})"], "every": False},
    )

    outputs: ClassVar[Mapping[str, str]] = {
        "out": "Packets that go on",
        "unmatched": "Packets that match and drop leave out; without a wire they are dropped",
    }

    class Params(Parameters):
        patterns: Annotated[
            list[Annotated[str, Help("A regular expression of RE2.", min_length=1)]],
            Help("Regular expressions of RE2.", min_length=1, max_length=10_000),
        ]
        do: Annotated[Literal["extract", "replace", "match", "drop"], Help("What is done with matches.")] = "extract"
        field: Annotated[str, Help("Field to look at.", min_length=1)] = "text"
        target: Annotated[str, Help("Field for what a pattern without named groups extracts.", min_length=1)] = "found"
        replacement: Annotated[str, Help("Text that replaces a match.")] = ""
        every: Annotated[bool, Help("Extract all matches of a value, or only the first.")] = True
        ignore_case: Annotated[bool, Help("Capitals and small letters are the same.")] = False
        most: Annotated[int, Help("Most matches of a pattern in one value.", ge=1)] = 100_000

        def __post_init__(self) -> None:
            problems: list[Problem] = []

            def add(place: str, fault: object) -> None:
                problems.append(Problem(place, str(fault), "param.invalid"))

            replacement = None
            try:
                replacement = Replacement(self.replacement)
            except ValueError as error:
                add("replacement", error)
            for number, pattern in enumerate(self.patterns):
                try:
                    made = compiled(pattern, ignore_case=self.ignore_case)
                except ValueError as error:
                    add(f"patterns.{number}", f"{pattern}: {error}")
                    continue
                if self.do == "replace" and replacement is not None and (fault := replacement.fault(made)):
                    add("replacement", fault)
            if not problems:
                try:
                    Patterns(self.patterns, ignore_case=self.ignore_case)
                except ValueError as error:
                    add("patterns", error)
            if problems:
                raise InvalidInput("the patterns are not valid", problems=problems)

    def setup(self) -> None:
        params = self.params
        self._patterns = Patterns(params.patterns, ignore_case=params.ignore_case)
        self._replacement = Replacement(params.replacement)
        self._groups = [dict(pattern.groupindex) for pattern in self._patterns.each]

    def process(self, packet: Packet) -> Packet | None:
        if packet.is_deletion:
            return packet
        match self.params.do:
            case "extract":
                self._extract(packet)
            case "replace":
                self._replace(packet)
            case chosen:
                is_found = any(self._patterns.found_in(data) for data in self._texts(packet))
                if is_found != (chosen == "match"):
                    self.send("unmatched", packet)
                    return None
        return packet

    def _texts(self, packet: Packet) -> Iterator[bytes]:
        for value in _values(packet, self.params.field):
            if isinstance(value, str):
                yield value.encode("utf-8", "surrogatepass")

    def _extract(self, packet: Packet) -> None:
        found: dict[str, list[str]] = {}
        for data in self._texts(packet):
            for number in self._patterns.found_in(data):
                self._take(found, number, data)
        for name, values in found.items():
            packet.set(name, values if self.params.every else values[0], multi=self.params.every)
            self.count("extracted", len(values))

    def _take(self, found: dict[str, list[str]], number: int, data: bytes) -> None:
        """Add what one pattern finds in a text."""
        pattern, groups = self._patterns.each[number], self._groups[number]
        targets = groups.items() if groups else [(self.params.target, 1 if pattern.groups else 0)]
        for match in self._matches(number, data):
            for name, group in targets:
                value = match.group(group)
                if value is not None and (self.params.every or name not in found):
                    found.setdefault(name, []).append(value.decode("utf-8", "surrogatepass"))
            if not self.params.every and len(found.keys() & {name for name, _ in targets}) == len(targets):
                return

    def _replace(self, packet: Packet) -> None:
        field = self.params.field
        values = _values(packet, field)
        changed = [self._replaced(value) if isinstance(value, str) else value for value in values]
        if changed != values:
            packet.set(field, changed if packet.is_multivalued(field) else changed[0], multi=packet.is_multivalued(field))

    def _replaced(self, text: str) -> str:
        data = text.encode("utf-8", "surrogatepass")
        for number in range(len(self._patterns.each)):
            pieces, end = [], 0
            for match in self._matches(number, data):
                pieces += [data[end : match.start()], self._replacement.expanded(match)]
                end = match.end()
            if pieces:
                self.count("replaced", len(pieces) // 2)
                data = b"".join([*pieces, data[end:]])
        return data.decode("utf-8", "surrogatepass")

    def _matches(self, number: int, data: bytes) -> Iterator[Any]:
        for at, match in enumerate(matches(self._patterns.each[number], data)):
            if at == self.params.most:
                raise Reject(
                    f"pattern {number + 1} is found more than {at} times in a value of field {self.params.field!r} (most)",
                    "regex.too_many",
                )
            yield match


def _values(packet: Packet, field: str) -> list[Any]:
    """The values of a field, as a list."""
    if not packet.has(field):
        return []
    found = packet.get(field)
    return found if packet.is_multivalued(field) else [found]
