"""Configured: parameters of a component, typed in its ``Params`` and declared with ``set_parameter`` as in the original."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pypes.core.parameters import Parameters, convert, schema_of
from pypes.errors import InvalidInput, Problem


class Configured:
    """What has parameters: those of ``Params``, which are checked, and those that ``set_parameter`` declares."""

    class Params(Parameters):
        """No parameters."""

    params: Any
    name: str
    _parameters: dict[str, list[Any]]

    def configure(self, given: Mapping[str, Any]) -> None:
        """Set the parameters from plain JSON values. Raises ``InvalidInput`` with every problem."""
        known = self._parameters
        declared = {name: value for name, value in given.items() if name not in known}
        params, problems = convert(self.Params, declared)
        for name, value in given.items():
            if name in known:
                options = known[name][1]
                if options and value not in options:
                    problems.append(Problem(name, f"must be one of {options!r}, not {value!r}", "param.invalid"))
        if problems:
            raise InvalidInput("parameters are not valid", code="param.invalid", where=self.name, problems=problems)
        self.params = params
        for name in known.keys() & given.keys():
            self.set_parameter(name, given[name])

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the parameters, those of ``set_parameter`` included."""
        schema = schema_of(self.Params)
        for name, (value, options) in self._parameters.items():
            schema["properties"][name] = {"default": value, **({"enum": options} if options else {})}
        return schema

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
