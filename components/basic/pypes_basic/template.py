"""Template: a text field made of other fields."""

from __future__ import annotations

from typing import Annotated, Literal

import minijinja

from pypes import Example, Help, Packet, Parameters, Reject, Transformer
from pypes.errors import InvalidInput, Problem
from pypes_basic.expressions import FUEL, environment, fault_of_template, names_in, said, variables


class Template(Transformer):
    """Set a field to a text that is rendered from the fields and metadata of the packet, by a template in the language of Jinja.

    In the template, names are fields, ``meta`` has the metadata (``{{ meta.filename }}``), ``fields`` all fields
    (``{{ fields["page no"] }}``). There are the filters and tests of Jinja (``title|upper``, ``tags|join(", ")``, ``text|trim``),
    ``{% if %}``, ``{% for %}`` and macros; other templates cannot be included. A field that already exists is replaced; all else
    stays. Deletions pass. The same packet gives the same text.

    A text that is longer than ``max_chars``, a template that takes more than ``max_steps``, and with ``missing: error`` a name
    that the packet does not have make a dead letter (``template.failed``), and so does a fault that shows with some values only.
    The bounds are for mistakes, not against hostile authors: the memory that a template uses on its way is not bounded.
    """

    icon = "file-pen"
    tags = ("fields", "text")
    example = Example(
        takes=Packet({"title": "Emma", "tags": ["novel", "1815"]}, {"filename": "emma.txt"}),
        gives=Packet({"title": "Emma", "tags": ["novel", "1815"], "text": "Emma (emma.txt): novel, 1815"}),
        params={"template": "{{ title }} ({{ meta.filename }}): {{ tags|join(', ') }}"},
    )

    class Params(Parameters):
        template: Annotated[str, Help("The template.", min_length=1, max_length=100_000)]
        field: Annotated[str, Help("Field that gets the text.", min_length=1)] = "text"
        missing: Annotated[
            Literal["empty", "error"], Help("A name that the packet does not have is empty, or makes a dead letter.")
        ] = "empty"
        escape: Annotated[Literal["none", "html", "json"], Help("The way in which values are written into the text.")] = "none"
        max_chars: Annotated[int, Help("Longest text, in characters.", ge=1)] = 1_000_000
        max_steps: Annotated[int, Help("Longest evaluation, in steps of the engine.", ge=1)] = FUEL

        def __post_init__(self) -> None:
            if fault := fault_of_template(self.template):
                raise InvalidInput("the template is not valid", problems=[Problem("template", fault, "param.invalid")])

    def setup(self) -> None:
        params = self.params
        self._env = environment(is_strict=params.missing == "error", fuel=params.max_steps)
        # the engine escapes as the name of a template ends
        self._name = f"template.{params.escape}"
        self._env.add_template(self._name, params.template)
        self._names = names_in(self._env, params.template)
        self._field, self._max_chars = params.field, params.max_chars

    def process(self, packet: Packet) -> Packet:
        if packet.is_deletion:
            return packet
        try:
            text: str = self._env.render_template(self._name, **variables(packet, self._names))
        except minijinja.TemplateError as error:
            raise Reject(f"the template failed: {said(error)}", "template.failed") from None
        if len(text) > self._max_chars:
            raise Reject(
                f"the text has {len(text)} characters, more than the {self._max_chars} of max_chars; raise it, or shorten the "
                "template",
                "template.failed",
            )
        packet.set(self._field, text)
        return packet
