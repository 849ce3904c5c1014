"""Redact: hide what tells who people are."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pypes import Example, Help, Packet, Parameters, Transformer
from pypes.errors import InvalidInput, Problem
from pypes.structure import BLOCKS
from pypes_text.finding import Found, cards, emails, ibans, ips, nationals, phones
from pypes_text.moving import Edit, moved

#: The kinds, those first that tell most where two find the same characters.
FINDERS: Final[Mapping[str, Callable[[str], Iterator[Found]]]] = MappingProxyType(
    {"email": emails, "iban": ibans, "card": cards, "national": nationals, "ip": ips, "phone": phones}
)
_DIGEST_CHARS: Final = 16

Kind = Literal["email", "iban", "card", "national", "ip", "phone"]


class Redact(Transformer):
    """Replace what tells who people are, in all texts of a document or in chosen fields, and count it by kind.

    ``email``; ``iban``, ``card`` and ``national`` (numbers of people in Belgium, Brazil, China, France, Germany, Italy, Poland,
    Spain, Sweden, Switzerland, the United Kingdom and the USA) whose check digits are right, where they have some; ``ip``;
    ``phone``, as far as its form tells; and your own ``patterns``, in the syntax of RE2. Names of people are not found.

    A find is replaced by ``mark``, left out, or replaced by a hash that is the same for the same value and key, so that what
    belongs together can still be found together. Values in lists and objects are looked at as well, names of fields and metadata
    are not. The structure of a text moves along, tables included. Put it before Chunk, whose places would not be right behind it.

    Counts each kind by its name, and writes the numbers of the document to its metadata ``redacted``.
    """

    icon = "eye-off"
    tags = ("text", "privacy")
    example = Example(
        takes=Packet({"text": "Write to ada@example.org or pay to DE89 3704 0044 0532 0130 00."}),
        gives=Packet({"text": "Write to [email] or pay to [iban]."}, {"redacted": {"email": 1, "iban": 1}}),
    )

    class Params(Parameters):
        fields: Annotated[list[str], Help("Fields to look at; while empty, all of them.")] = []
        kinds: Annotated[list[Kind], Help("Kinds of finds that are hidden.")] = [
            "email",
            "iban",
            "card",
            "national",
            "ip",
            "phone",
        ]
        patterns: Annotated[
            dict[str, str], Help("Kinds of your own: a name in lower case and a regular expression in the syntax of RE2.")
        ] = {}
        action: Annotated[Literal["replace", "hash", "drop"], Help("What becomes of a find.")] = "replace"
        mark: Annotated[str, Help("Text in place of a find; {kind} is its kind, {hash} its hash.")] = ""
        key: Annotated[str, Help("Secret key of the hashes, as ${NAME}: without it, whoever guesses a value can check it.")] = ""

        def __post_init__(self) -> None:
            if self.action == "hash" and not self.key:
                raise ValueError('hashes need a key: set one in the environment and write "key": "${NAME}"')
            for name, pattern in self.patterns.items():
                if name in FINDERS or not (
                    name.isascii() and name.replace("_", "a").isalnum() and name[0].islower() and name.islower()
                ):
                    raise ValueError(
                        f"patterns: {name!r} is no name for a kind of your own; take lower-case letters, digits and _"
                    )
                _own(name, pattern)

    def setup(self) -> None:
        params = self.params
        self._finders: dict[str, Callable[[str], Iterable[Found]]] = {
            **{name: _own(name, pattern) for name, pattern in params.patterns.items()},
            **{name: find for name, find in FINDERS.items() if name in params.kinds},
        }
        self._kinds = [*self._finders]
        self._mark = params.mark or {"replace": "[{kind}]", "hash": "[{kind}:{hash}]", "drop": ""}[params.action]

    def process(self, packet: Packet) -> Packet:
        counts: Counter[str] = Counter()
        for name in self.params.fields or packet.get_attribute_names():
            if name in packet:
                self._field(packet, name, counts)
        if counts:
            for kind, n in counts.items():
                self.count(kind, n)
            before = packet.get_meta("redacted")
            packet.set_meta("redacted", dict(Counter(before if isinstance(before, dict) else {}) + counts))
        return packet

    def _field(self, packet: Packet, name: str, counts: Counter[str]) -> None:
        if hasattr(packet.parts()[0][name], "open"):  # a body on disk is no text, and stays there
            return
        value = packet.get(name)
        if isinstance(value, str):
            edits = self._edits(value, counts)
            if edits:
                packet.set(name, _edited(value, edits))
            blocks = packet.get_meta(BLOCKS, name)
            if isinstance(blocks, list):
                packet.set_meta(BLOCKS, [self._hidden_cells(block) for block in moved(blocks, edits)], name)
        elif isinstance(value, list | dict):
            found: Counter[str] = Counter()
            hidden = self._hidden(value, found)
            if found:
                packet.set(name, hidden, multi=packet.is_multivalued(name))
                counts += found

    def _hidden_cells(self, block: dict[str, Any]) -> dict[str, Any]:
        # a cell is in the text as well, where it counts
        return {**block, "rows": self._hidden(block["rows"], Counter())} if "rows" in block else block

    def _hidden(self, value: Any, counts: Counter[str]) -> Any:
        """A value of JSON without what is to be hidden in it."""
        if isinstance(value, str):
            return _edited(value, self._edits(value, counts))
        if isinstance(value, list):
            return [self._hidden(each, counts) for each in value]
        if isinstance(value, dict):
            return {name: self._hidden(each, counts) for name, each in value.items()}
        return value

    def _edits(self, text: str, counts: Counter[str]) -> list[Edit]:
        """The texts in place of finds, in the order of the text; where two overlap, all of both is one, of the first kind."""
        finds: list[tuple[Found, str]] = []
        for kind, find in self._finders.items():
            finds += [(found, kind) for found in find(text)]
        if not finds:
            return []
        taken: list[tuple[Found, str]] = []
        # the sort keeps the order of kinds among finds that begin at one place
        for found, kind in sorted(finds, key=lambda each: each[0].start):
            if not taken or found.start >= taken[-1][0].end:
                taken.append((found, kind))
                continue
            before, former = taken[-1]
            better, kind = (found, kind) if self._order(kind) < self._order(former) else (before, former)
            taken[-1] = (better._replace(start=before.start, end=max(before.end, found.end)), kind)
        counts.update(kind for _, kind in taken)
        return [Edit(found.start, found.end, self._instead(found, kind)) for found, kind in taken]

    def _order(self, kind: str) -> int:
        return self._kinds.index(kind)

    def _instead(self, found: Found, kind: str) -> str:
        digest = ""
        if "{hash}" in self._mark:
            said = f"{kind}\0{found.value.casefold()}".encode("utf-8", "surrogatepass")
            digest = hmac.new(self.params.key.encode(), said, hashlib.sha256).hexdigest()[:_DIGEST_CHARS]
        return self._mark.replace("{kind}", kind).replace("{hash}", digest)


def _edited(text: str, edits: list[Edit]) -> str:
    pieces: list[str] = []
    end = 0
    for edit in edits:
        pieces += (text[end : edit.start], edit.text)
        end = edit.end
    return "".join((*pieces, text[end:])) if edits else text


def _own(name: str, pattern: str) -> Callable[[str], Iterable[Found]]:
    """Finds a pattern of RE2, which takes linear time whatever the pattern is."""
    import re2

    try:
        options = re2.Options()
        options.log_errors = False
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        [reason] = error.args or ("it is not valid",)
        told = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        fault = f"{pattern}: {told}; it is no regular expression of RE2"
        raise InvalidInput("a pattern is not valid", problems=[Problem(f"patterns.{name}", fault, "param.invalid")]) from error
    return lambda text: [Found(found.start(), found.end(), found.group()) for found in compiled.finditer(text) if found.group()]
