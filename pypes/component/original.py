"""The API of the original Pypes (2010-2014), which components of then are written against.

They declare parameters with ``set_parameter`` and ports with ``add_input`` and ``add_output`` in ``__init__``, and bring a
``run`` loop that receives, sends and yields. A component of today needs none of these methods: its parameters are typed in
``Params``, its ports are class attributes, and ``process`` is the easy form of the loop that :meth:`OriginalStyle.run` shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pypes.component.parameters import Parameters, convert
from pypes.errors import ComponentError, InvalidInput

if TYPE_CHECKING:
    from pypes.component.context import Context


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

    def process(self, packet: Any) -> Any:
        """The easy form of the loop, see :class:`pypes.component.base.Component`."""
        raise NotImplementedError(f"{type(self).__name__} has neither process, process_batch nor run")

    def send(self, port: str, data: Any) -> bool:
        """Send a packet on, see :class:`pypes.component.base.Component`."""
        return self._get_run_context().send(port, data)

    def run(self) -> None:
        """The loop of the original style. It never returns; this one is what ``process`` stands for."""
        while True:
            for port in self.get_in_ports():
                for packet in self.receive_all(port):
                    result = self.process(packet)
                    if result is not None:
                        self.send("out", result)
            self.yield_ctrl()

    # -- packets (only while the scheduler runs the component) -------------------------------------------

    def receive(self, port: str) -> Any:
        """Take one packet from an input port, or ``None`` if nothing waits there for this turn."""
        return self._get_run_context().receive(port)

    def receive_all(self, port: str) -> Iterator[Any]:
        """Iterate over the packets that wait on an input port. Packets that the loop does not reach stay on the wire."""
        return self._get_run_context().receive_all(port)

    def yield_ctrl(self) -> None:
        """End this turn: let the others run; returns when there is something to do again."""
        self._get_run_context().yield_ctrl()

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
