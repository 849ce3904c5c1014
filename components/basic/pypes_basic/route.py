"""Route: packets to one output or another, by rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal

from pypes import Example, Help, Operator, Packet, Parameters, Reject
from pypes.errors import InvalidInput, Problem
from pypes_basic.expressions import Expressions, fault_of_expression

#: Rules that one filter may have; behind ``else`` there may be another filter with more.
MOST_RULES: Final = 16


class Route(Operator):
    """Send each packet to the output of the first rule that holds: rule 1 to ``out1``, rule 2 to ``out2``, others to ``else``.

    A rule is an expression such as ``language == "de" and pages > 10``: names are fields, ``meta`` has the metadata
    (``meta.mimetype``), ``fields`` all fields (``fields["page no"]``). There are ``== != < > <= >= and or not in``, ``title is
    defined``, ``"loan" in text|lower``, ``name.startswith("a")``, and the other expressions of Jinja. A field that is absent is
    empty, and equal to nothing else.

    A packet goes on unchanged; one that no rule takes is dropped where ``else`` has no wire, and so is one for a rule whose
    output has none (``dropped`` counts them). Deletions go to all outputs, since an earlier version of the document may have gone
    to any. A rule that cannot be told, such as ``pages + 1 > 3`` where ``pages`` is a text, makes a dead letter (``route.rule``).
    A document that comes again may take another way: publishers of whole documents then remove what the old way led to.
    """

    icon = "signpost"
    tags = ("branches", "rules")
    example = Example(
        takes=[Packet({"title": "Faust", "language": "de"}), Packet({"title": "Emma", "language": "en"}), Packet({"title": "?"})],
        gives={
            "out1": Packet({"title": "Faust", "language": "de"}),
            "out2": Packet({"title": "Emma", "language": "en"}),
            "else": Packet({"title": "?"}),
        },
        params={"rules": ["language == 'de'", "language in ['en', 'fr']"]},
    )

    outputs: ClassVar[Mapping[str, str]] = {
        **{f"out{number}": f"Packets for which rule {number} holds" for number in range(1, MOST_RULES + 1)},
        "else": "Packets for which no rule holds",
    }

    class Params(Parameters):
        rules: Annotated[
            list[Annotated[str, Help("An expression over fields and metadata.", min_length=1, max_length=10_000)]],
            Help("Expressions, in the order in which they are tried; the n-th leads to the output outN.", max_length=MOST_RULES),
        ] = []
        match: Annotated[
            Literal["first", "all"], Help("A packet goes to the output of the first rule that holds, or to those of all that do.")
        ] = "first"

        def __post_init__(self) -> None:
            faults = [(number, text, fault_of_expression(text)) for number, text in enumerate(self.rules)]
            problems = [
                Problem(f"rules.{number}", f"{text}: {fault}", "param.invalid") for number, text, fault in faults if fault
            ]
            if problems:
                raise InvalidInput("the rules are not valid", problems=problems)

    def setup(self) -> None:
        rules = self.params.rules
        self._expressions = Expressions(rules)
        self._is_first_enough = self.params.match == "first"
        self._ports = [f"out{number}" for number in range(1, len(rules) + 1)]

    def process(self, packet: Packet) -> None:
        if packet.is_deletion:
            for port in (*self._ports, "else"):
                self.send(port, packet.clone())
            return
        try:
            holding = self._expressions.holding(packet, is_first_enough=self._is_first_enough)
        except ValueError as error:
            raise Reject(str(error), "route.rule") from None
        ports = [self._ports[number] for number in holding] or ["else"]
        # first all of them: what a clone shares with a packet that has gone on, the next filter may be changing
        packets = [packet, *(packet.clone() for _ in ports[1:])]
        sent = [self.send(port, each) for port, each in zip(ports, packets, strict=True)]
        if not any(sent):
            self.count("dropped")
