"""The API of the original Pypes (2010-2014), which components of then are written against.

They declare parameters with ``set_parameter`` and ports with ``add_input`` and ``add_output`` in ``__init__``, and bring a
``run`` loop that receives, sends and yields. A component of today needs none of these methods: its parameters are typed in
``Params``, its ports are class attributes, and ``process`` is the easy form of the loop that :meth:`OriginalStyle.run` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pypes.component.parameters import Parameters, convert
from pypes.errors import ComponentError, InvalidInput

if TYPE_CHECKING:
    from pypes.component.context import Context


class Edge(Protocol):
    """A buffer that is connected to ports by hand; :class:`pypes.pype.Pype` is one."""

    @property
    def size(self) -> int:
        """Number of data that wait in it."""

    def send(self, data: Any) -> None:
        """Put data behind those that wait."""

    def recv(self) -> Any:
        """Take the first of those that wait; ``None`` if there are none."""


_NO_EDGES: Mapping[str, Edge] = MappingProxyType({})


class OriginalStyle:
    """Base class of every component, with the methods that components of the original need to run unchanged."""

    class Params(Parameters):
        """No parameters."""

    __metatype__: ClassVar[str | None] = None
    params: Any
    name: str
    #: Name → description of each port.
    _inputs: dict[str, str | None]
    _outputs: dict[str, str | None]
    #: Name → value and options of what ``set_parameter`` declares.
    _parameters: dict[str, list[Any]]
    _run_context: Context | None = None
    #: Edges that were connected by hand, by port; only where no graph runs the component.
    _input_edges: Mapping[str, Edge] = _NO_EDGES
    _output_edges: Mapping[str, Edge] = _NO_EDGES
    #: Ends a turn that is taken by hand, as :class:`pypes.testing.tasklet` does.
    _end_turn_by_hand: Callable[[], None] | None = None

    def process(self, packet: Any) -> Any:
        """The easy form of the loop, see :class:`pypes.component.base.Component`."""
        raise NotImplementedError(f"{type(self).__name__} has neither process, process_batch nor run")

    def send(self, port: str, data: Any) -> bool:
        """Send a packet on, see :class:`pypes.component.base.Component`."""
        if self._run_context is not None:
            return self._run_context.send(port, data)
        edge = self._edge(self._output_edges, port)
        if edge is None:
            return False
        edge.send(data)
        return True

    def run(self) -> None:
        """The loop of the original style. It never returns; this one is what ``process`` stands for."""
        while True:
            for port in self.get_in_ports():
                for packet in self.receive_all(port):
                    result = self.process(packet)
                    if result is not None:
                        self.send("out", result)
            self.yield_ctrl()

    # -- packets ----------------------------------------------------------------------------------------
    #
    # While no graph runs a component, `send`, `receive` and `receive_all` know only the edges that were connected by hand, and
    # answer as in the original: False, None, nothing. Components with `process` are told that they are in no graph instead.

    def receive(self, port: str) -> Any:
        """Take one packet from an input port, or ``None`` if nothing waits there for this turn."""
        if self._run_context is not None:
            return self._run_context.receive(port)
        edge = self._edge(self._input_edges, port)
        return None if edge is None else edge.recv()

    def receive_all(self, port: str) -> Iterator[Any]:
        """Iterate over the packets that wait on an input port. Packets that the loop does not reach stay on the wire."""
        if self._run_context is not None:
            return self._run_context.receive_all(port)
        edge = self._edge(self._input_edges, port)
        return iter(()) if edge is None else (edge.recv() for _ in range(edge.size))

    def yield_ctrl(self) -> None:
        """End this turn: let the others run; returns when there is something to do again.

        Raises ``ComponentError`` (``component.not_running``) where nobody runs the component in turns: it would never end.
        """
        if self._run_context is None and self._end_turn_by_hand is not None:
            self._end_turn_by_hand()
        else:
            self._get_run_context().yield_ctrl()

    def _edge(self, edges: Mapping[str, Edge], port: str) -> Edge | None:
        """The edge at a port. Raises ``ComponentError`` where there is none and the component has the easy style."""
        edge = edges.get(port)
        if edge is None and self.is_easy_style():
            self._get_run_context()
        return edge

    @classmethod
    def is_easy_style(cls) -> bool:
        """True if the class brings no loop, but ``process`` or ``process_batch``."""
        return False

    def _get_run_context(self) -> Context:
        if self._run_context is None:
            raise ComponentError(
                "ports work only while a graph runs the component; use pypes.Pipeline or pypes.testing.run_component",
                code="component.not_running",
                where=self.name,
            )
        return self._run_context

    # -- ports ------------------------------------------------------------------------------------------

    def add_input(self, name: str, desc: str | None = None) -> bool:
        """Add an input port; False if there is one of that name."""
        return _add(self._inputs, name, desc)

    def remove_input(self, name: str) -> bool:
        """Remove an input port; False if there is none of that name."""
        return _remove(self._inputs, name)

    def add_output(self, name: str, desc: str | None = None) -> bool:
        """Add an output port; False if there is one of that name."""
        return _add(self._outputs, name, desc)

    def remove_output(self, name: str) -> bool:
        """Remove an output port; False if there is none of that name."""
        return _remove(self._outputs, name)

    def get_in_ports(self) -> list[str]:
        return sorted(self._inputs)

    def get_out_ports(self) -> list[str]:
        """Names of the output ports, sorted, without the implicit ``error``."""
        return sorted(self._outputs)

    def connect_input(self, name: str, edge: Edge) -> bool:
        """Have an input port read from ``edge`` while no graph runs the component; False if there is no port of that name."""
        if name not in self._inputs:
            return False
        self._input_edges = {**self._input_edges, name: edge}
        return True

    def connect_output(self, name: str, edge: Edge) -> bool:
        """Have an output port write to ``edge`` while no graph runs the component; False if there is no port of that name."""
        if name not in self._outputs:
            return False
        self._output_edges = {**self._output_edges, name: edge}
        return True

    def has_port(self, port: str) -> bool:
        return port in self._inputs or port in self._outputs

    def get_port_description(self, port: str) -> str | None:
        return self._inputs.get(port, self._outputs.get(port))

    def set_port_description(self, port: str, desc: str | None) -> None:
        """Describe a port; nothing happens if there is none of that name (as in the original)."""
        for ports in (self._inputs, self._outputs):
            if port in ports:
                ports[port] = desc
                return

    def get_type(self) -> str | None:
        """The kind that the class declares."""
        return self.__metatype__

    # -- parameters -------------------------------------------------------------------------------------

    def get_parameters(self) -> dict[str, list[Any]]:
        """All parameters in the original's form: name → ``[value, options]``."""
        typed = {name: [getattr(self.params, name), []] for name in self.Params.__struct_fields__} if self.params else {}
        return {**typed, **self._parameters}

    def set_parameters(self, parameters: Mapping[str, Iterable[Any]]) -> None:
        """Replace the parameters set with :meth:`set_parameter`, in the form that ``get_parameters`` returns."""
        for name, pair in parameters.items():
            value, *options = pair
            self.set_parameter(name, value, *options)

    def get_parameter(self, name: str) -> Any:
        """Value of a parameter, ``None`` if there is none of that name."""
        if name in self._parameters:
            return self._parameters[name][0]
        return getattr(self.params, name, None)

    def set_parameter(self, name: str, parameter: Any, options: Any = None) -> None:
        """Set a parameter; with ``options`` (a list) or for a new name, declare it."""
        if name in self.Params.__struct_fields__:
            given = {key: getattr(self.params, key) for key in self.Params.__struct_fields__} if self.params else {}
            params, problems = convert(self.Params, {**given, name: parameter})
            if problems:
                raise InvalidInput("parameter is not valid", code="param.invalid", where=self.name, problems=problems)
            self.params = params
        elif options is None and name in self._parameters:
            self._parameters[name][0] = parameter
        else:
            self._parameters[name] = [parameter, list(options) if isinstance(options, (list, tuple)) else []]


def _add(ports: dict[str, str | None], name: str, desc: str | None) -> bool:
    if name in ports:
        return False
    ports[name] = desc
    return True


def _remove(ports: dict[str, str | None], name: str) -> bool:
    if name not in ports:
        return False
    del ports[name]
    return True
