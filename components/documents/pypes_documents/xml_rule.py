"""A rule for a field that is found in XML, as parameters have it."""

from __future__ import annotations

from typing import Annotated, Literal

from pypes import Help, Parameters

Mode = Literal["each", "first", "append", "multi"]


class Rule(Parameters):
    path: Annotated[str, Help("XPath 1.0 of elements, attributes or a value.", min_length=1)]
    mode: Annotated[
        Mode,
        Help("Of several values: each, the first, all in one text, or a list (multi), which it also is where there is one."),
    ] = "each"
    default: Annotated[str, Help("Value where nothing is found. Empty: the field is left out then.")] = ""
