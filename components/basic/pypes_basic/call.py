"""Call: a function of Python as a filter."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar

from pypes import Done, Example, Help, Packet, Parameters, Reject, Transformer
from pypes.core.functions import find_function
from pypes.errors import ComponentError


class Call(Transformer):
    """Have a function of Python work on packets, by its name: ``mypackage.texts:clean``.

    The function is called with a packet and ``options``, and returns a packet, or ``None`` to drop it; each packet of a generator
    function, or of a sequence with ``produces``, is a result. ``Done(packet)`` goes to ``done``. Anything else is a dead letter
    (``call.result``). Deletions pass without a call. The function must not block for long, unless the filter has a pool.

    The module must be installed on the node, and be listed under ``modules`` in ``[components]`` of its settings: none is by
    default, since who may deploy graphs could call anything. A function that a module there has imported from elsewhere is not
    called. ``Pipeline.save`` writes functions in this form, and ``Pipeline.load`` reads them back as functions.
    """

    icon = "square-function"
    tags = ("programs",)
    example = Example(
        takes=Packet({"text": "loom and engine"}),
        gives=Packet({"text": "loom and engine", "words": 3}),
        params={"function": "pypes_basic.call:count_words"},
    )

    outputs: ClassVar[Mapping[str, str]] = {"out": "Results", "done": "Results that the function says are done"}

    class Params(Parameters):
        function: Annotated[str, Help("The function: package.module:name.", function=True)]
        options: Annotated[dict[str, Any], Help("Its keyword arguments.")] = {}
        produces: Annotated[int, Help("It returns a sequence of so many packets; 0: one packet.", ge=0)] = 0
        repeat: Annotated[bool, Help("Its one packet counts as often as produces says.")] = False
        consumes: Annotated[int, Help("In Python's pipelines only: it takes so many results of one item.", ge=0)] = 0

    def setup(self) -> None:
        params = self.params
        if params.consumes:
            raise ComponentError("consumes: groups are for pipelines in Python; gather parts with Gather", code="call.consumes")
        if params.repeat and not params.produces:
            raise ComponentError("repeat needs produces, the number of times that the packet counts", code="call.repeat")
        try:
            function = find_function(params.function, self.paths.modules)
        except (ValueError, ImportError) as error:
            raise ComponentError(f"function: {error}", code="call.no_function") from error
        self._is_generator = inspect.isgeneratorfunction(function)
        self._function = partial(function, **params.options) if params.options else function

    def process(self, packet: Packet) -> Packet | None:
        if packet.is_deletion:
            return packet
        result = self._function(packet)
        if not (self._is_generator or self.params.produces):
            return self._one(result)
        if result is not None:
            for each in self._several(result):
                if (found := self._one(each)) is not None:
                    self.send("out", found)
        return None

    def _several(self, result: Any) -> Any:
        count = self.params.produces
        if type(result) is Done:
            return [result]
        if not count:
            return result
        if self.params.repeat:
            return [self._checked(result).clone() for _ in range(count)]
        found = [*result]
        if len(found) != count:
            raise Reject(f"{self.params.function} returned {len(found)} results, not {count} as produces says", "call.result")
        return found

    def _one(self, result: Any) -> Packet | None:
        """A result that is to go on, unless it is dropped or done."""
        if type(result) is Done:
            if not self.send("done", self._checked(result.value)):
                raise Reject(f"{self.params.function} returned Done, and no wire leads from done", "call.done")
            return None
        return None if result is None else self._checked(result)

    def _checked(self, result: Any) -> Packet:
        if not isinstance(result, Packet):
            raise Reject(f"{self.params.function} returned {type(result).__name__}, not a packet", "call.result")
        return result


def count_words(packet: Packet, field: str = "text") -> Packet:
    """Set ``words`` to the number of words in a field, as an example of a function."""
    packet.set("words", len(str(packet.get(field, "")).split()))
    return packet
