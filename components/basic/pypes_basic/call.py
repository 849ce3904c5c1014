"""Call: a function of Python as a filter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Final

from pypes import Component, Done, Example, Help, Operator, Packet, Parameters, Reject, Transformer
from pypes.core.functions import find_function
from pypes.errors import ComponentError

#: Inputs of a join.
WAYS: Final = ("in", *(f"in{number}" for number in range(2, 9)))


class _Calling(Component):
    """Calls a function, and sends what it returns."""

    def find(self, options: Mapping[str, Any]) -> Callable[..., Any]:
        """The function, with its options. Raises ``ComponentError`` where it cannot be called."""
        params = self.params
        if params.repeat and not params.produces:
            raise ComponentError("repeat needs produces, the number of times that the packet counts", code="call.repeat")
        try:
            function = find_function(params.function, self.paths.modules)
        except (ValueError, ImportError) as error:
            raise ComponentError(f"function: {error}", code="call.no_function") from error
        self._is_generator = inspect.isgeneratorfunction(function)
        return partial(function, **options) if options else function

    def send_results(self, result: Any) -> None:
        """Send what the function has returned, of whatever form it is."""
        for each in self._several(result):
            if (found := self._one(each)) is not None:
                self.send("out", found)

    def _several(self, result: Any) -> Any:
        count = self.params.produces
        if result is None:
            return ()
        if type(result) is Done or not (count or self._is_generator):
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


class Call(_Calling, Transformer):
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
        if self.params.consumes:
            raise ComponentError("consumes: groups are for pipelines in Python; gather parts with Gather", code="call.consumes")
        self._function = self.find(self.params.options)

    def process(self, packet: Packet) -> Packet | None:
        if packet.is_deletion:
            return packet
        result = self._function(packet)
        if not (self._is_generator or self.params.produces):
            return self._one(result)
        self.send_results(result)
        return None


class CallJoin(_Calling, Operator):
    """Have a function of Python work on the packets of several inputs, by its name: ``mypackage.texts:pair``.

    ``parameters`` are the names of its parameters: the first one gets the packet of ``in``, the second that of ``in2`` and so
    on. It is called with what came of one document. Where each input brings several packets of it, the first meet, then the
    second ones; where only some do, the one of each other input meets all of them. If an input brings none, what came on the
    others is dropped. What it returns is as for ``Call``, and so are ``modules`` and deletions, of which one goes on. If it
    raises, all packets of the document that came here fail.

    ``Pipeline.save`` writes functions of several parameters in this form, and ``Pipeline.load`` reads them back as functions.
    """

    icon = "merge"
    tags = ("programs", "branches")
    example = Example(
        takes={"in": Packet({"text": "loom"}), "in2": Packet({"language": "en"})},
        gives=Packet({"text": "loom", "language": "en"}),
        params={"function": "pypes_basic.call:add_fields", "parameters": ["packet", "other"]},
    )

    inputs: ClassVar[Mapping[str, str]] = {port: f"Packets for parameter {number}" for number, port in enumerate(WAYS, 1)}
    outputs: ClassVar[Mapping[str, str]] = {"out": "Results", "done": "Results that the function says are done"}

    class Params(Parameters):
        function: Annotated[str, Help("The function: package.module:name.", function=True)]
        parameters: Annotated[
            list[str],
            Help("Its parameters in the order of the inputs that bring them.", inputs=True, min_length=1, max_length=len(WAYS)),
        ]
        options: Annotated[dict[str, Any], Help("Its other keyword arguments.")] = {}
        produces: Annotated[int, Help("It returns a sequence of so many packets; 0: one packet.", ge=0)] = 0
        repeat: Annotated[bool, Help("Its one packet counts as often as produces says.")] = False

    def setup(self) -> None:
        self._function = self.find(self.params.options)
        self._ways = dict(zip(self.params.parameters, WAYS, strict=False))

    # a loop, because several inputs are told apart
    process = Operator.process

    def run(self) -> None:
        ways = self._ways
        missing = [port for port in ways.values() if not self.is_connected(port)]
        while True:
            found = {parameter: [*self.receive_all(port)] for parameter, port in ways.items()}
            if missing and any(found.values()):
                raise Reject(f"no wire leads to {missing[0]}, which brings a parameter of the function", "call.unwired")
            deletions = max(([each for each in way if each.is_deletion] for way in found.values()), key=len)
            for packet in deletions:  # each input has them
                self.send("out", packet)
            for values in self._met({name: [each for each in way if not each.is_deletion] for name, way in found.items()}):
                self.send_results(self._function(**values))
            self.yield_ctrl()

    def _met(self, ways: Mapping[str, list[Packet]]) -> Iterator[dict[str, Packet]]:
        """The packets of one document that belong together, by parameter."""
        counts = {len(packets) for packets in ways.values()}
        several = counts - {0, 1}
        if 0 in counts:
            return
        if len(several) > 1:
            told = ", ".join(f"{len(packets)} by {name!r}" for name, packets in ways.items())
            raise Reject(f"packets of one document do not meet: {told}", "call.unequal")
        last = max(counts) - 1
        for at in range(last + 1):
            # the function may change what it is given, so what meets several is cloned for all but the last one
            yield {
                name: packets[at] if len(packets) > 1 else packets[0].clone() if at < last else packets[0]
                for name, packets in ways.items()
            }


def count_words(packet: Packet, field: str = "text") -> Packet:
    """Set ``words`` to the number of words in a field, as an example of a function."""
    packet.set("words", len(str(packet.get(field, "")).split()))
    return packet


def add_fields(packet: Packet, other: Packet) -> Packet:
    """Add the fields of another packet, as an example of a function of several parameters."""
    packet.merge(other)
    return packet
