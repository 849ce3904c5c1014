"""Expressions and templates over packets, in the language of Jinja (minijinja): for Route, Template and HTTPCall.

Field names are variables, ``meta`` holds the metadata and ``fields`` all fields, also those whose names are no words:
``fields["page no"]``. They are written by whoever writes the graph, who is trusted: the steps of an expression are bounded, the
memory that it may use on the way is not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pypes import Packet

if TYPE_CHECKING:
    import minijinja

#: Steps that one evaluation may take, about a million a second at the least.
FUEL: Final = 100_000

#: Variables that stand for more than a field.
_GIVEN: Final = ("fields", "meta")


def environment(*, is_strict: bool = False, fuel: int = FUEL, filters: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """A minijinja environment. In a strict one an absent field is an error, in others it is empty, and so is what it has."""
    import minijinja

    return minijinja.Environment(
        undefined_behavior="strict" if is_strict else "chainable",
        fuel=fuel,
        # else errors would not say which name; of their text, which shows values, `said` takes the first line
        debug=True,
        keep_trailing_newline=True,
        filters=filters or {},
    )


def names_in(env: minijinja.Environment, source: str) -> frozenset[str]:
    """The variables that a template needs of a packet."""
    return frozenset(env.undeclared_variables_in_str(source))


def variables(packet: Packet, names: Collection[str]) -> dict[str, Any]:
    """The values of the variables of a template, as far as the packet has them."""
    found: dict[str, Any] = {name: packet.get(name) for name in names if name not in _GIVEN and packet.has(name)}
    if "meta" in names:
        found["meta"] = packet.get_metas()[0]
    if "fields" in names:
        found["fields"] = {name: packet.get(name) for name in packet.get_attribute_names()}
    return found


def said(error: Exception) -> str:
    """An error of minijinja in one line, without values of documents."""
    kind = getattr(error, "kind", "") or type(error).__name__
    detail = getattr(error, "detail", None)
    line = getattr(error, "line", None)
    if kind == "OutOfFuel":
        return "it takes more steps than it may; make its loops shorter"
    place = f" (line {line})" if isinstance(line, int) and line > 1 else ""
    return f"{detail or str(error).splitlines()[0]}{place}"


def fault_of_expression(text: str) -> str:
    """The fault of an expression; empty if it has none that can be known without a packet."""
    import minijinja

    try:
        environment().eval_expr(text)
    except minijinja.TemplateError as error:
        if error.kind in ("SyntaxError", "UnknownFilter", "UnknownTest", "UnknownFunction"):
            return said(error)
    return ""


def fault_of_template(text: str) -> str:
    """The fault of a template; empty if it has none that can be known without a packet."""
    import minijinja

    try:
        environment().add_template("template", text)
    except minijinja.TemplateError as error:
        return said(error)
    return ""


class Expressions:
    """Conditions that are compiled once. ``conditions`` have been checked with :func:`fault_of_expression`."""

    def __init__(self, conditions: Sequence[str]) -> None:
        self._env = environment()
        self._conditions = conditions
        for number, text in enumerate(conditions):
            # PERF: a template that is compiled is three times as fast as an expression that is not
            self._env.add_template(f"{number}", _template(text))
        self._names = [names_in(self._env, _template(text)) for text in conditions]
        self._all = frozenset[str]().union(*self._names)

    def holding(self, packet: Packet, *, is_first_enough: bool) -> list[int]:
        """Positions of the conditions that hold. Raises ``ValueError`` that names the one which cannot be told."""
        import minijinja

        known = variables(packet, self._all)
        found = []
        for number, text in enumerate(self._conditions):
            try:
                holds = self._env.render_template(f"{number}", **known)
            except minijinja.TemplateError as error:
                raise ValueError(f"rule {number + 1}, {text}: {said(error)}") from None
            if holds:
                found.append(number)
                if is_first_enough:
                    break
        return found


def _template(expression: str) -> str:
    return "{% if " + expression + "\n%}1{% endif %}"
