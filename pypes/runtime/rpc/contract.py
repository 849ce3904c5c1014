"""Contracts: what one process may ask of another, as a class of methods with types.

A contract is a :class:`typing.Protocol` whose methods are coroutines (calls, which are answered) or plain methods that return
``None`` (events, which are not). Both sides are derived from it::

    class Clerk(Protocol):
        async def receipt(self, id: str, wait_s: float = 0.0) -> Receipt | None: ...

    clerk = stub(Clerk, client.carry)                    # a Clerk: mypy checks name, arguments and result of every call
    await answer(Clerk, desk, "receipt", {"id": "7"})    # on the other side; mypy checks that `desk` is a Clerk

Arguments and results travel as JSON, and are converted to the types that the contract names (by msgspec). A call that
does not exist is a type error where it is made, and ``control.unknown_method`` where it arrives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar, get_type_hints

import msgspec

from pypes.errors import PypesError

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a contract: types of its parameters and of its result, and what the transport must know of it."""

    name: str
    signature: inspect.Signature
    params: Mapping[str, Any]
    result: Any
    #: Called twice it does what it does once, so that a lost answer can be asked for again.
    is_repeatable: bool
    #: The other side gives it up when nobody waits for the answer any more.
    is_while_wanted: bool

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, without defaults. Raises ``TypeError`` for those that do not fit."""
        return dict(self.signature.bind(*args, **kwargs).arguments)

    def received(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments as they arrived, as the types that the contract names. Raises :class:`PypesError` (``control.bad_call``)."""
        try:
            self.signature.bind(**params)
            return {name: msgspec.convert(value, self.params[name], str_keys=True) for name, value in params.items()}
        except (TypeError, msgspec.ValidationError) as error:
            raise PypesError(f"{self.name}: {error}", code="control.bad_call", where=self.name) from error


class Caller(Protocol):
    """Whatever carries a call to the other side and brings its result, as plain JSON values or as it is."""

    async def __call__(self, name: str, method: Method, params: dict[str, Any], /) -> Any: ...


def once(method: F) -> F:
    """Mark a call of a contract that must not be made again when its answer was lost."""
    method.__rpc_once__ = True  # type: ignore[attr-defined]
    return method


def while_wanted(method: F) -> F:
    """Mark a call of a contract that the other side gives up when the caller is cancelled or dies."""
    method.__rpc_while_wanted__ = True  # type: ignore[attr-defined]
    return method


def methods_of(contract: Any) -> Mapping[str, Method]:
    """The methods of a contract by name, those of the contracts it extends included."""
    return _read(contract)


@cache
def _read(contract: Hashable) -> Mapping[str, Method]:
    found = {}
    for name, function in inspect.getmembers(contract, inspect.isfunction):
        if name.startswith("_"):
            continue
        hints = get_type_hints(function)
        result = hints.pop("return")
        signature = inspect.signature(function)
        own = signature.replace(parameters=[*signature.parameters.values()][1:])
        is_once = hasattr(function, "__rpc_once__")
        found[name] = Method(name, own, hints, result, not is_once, hasattr(function, "__rpc_while_wanted__"))
    return found


def stub(contract: type[C], caller: Caller, prefix: str = "") -> C:
    """An implementation of a contract that has ``caller`` do each call, by its name after a prefix, and converts the result."""
    known: Any = contract
    return _stub_type(known, prefix)(caller)  # type: ignore[no-any-return]


class _Stub:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller


@cache
def _stub_type(contract: Hashable, prefix: str) -> Any:
    """PERF: a class takes a twelfth of a millisecond to make, and stubs are made for each request."""

    def calling(method: Method) -> Callable[..., Any]:
        async def call(self: _Stub, *args: Any, **kwargs: Any) -> Any:
            found = await self._caller(prefix + method.name, method, method.arguments(args, kwargs))
            return msgspec.convert(found, method.result, str_keys=True)

        return call

    members = {name: calling(method) for name, method in _read(contract).items()}
    return type(f"{getattr(contract, '__name__', '')}Stub", (_Stub,), members)


def events(contract: type[C], notify: Callable[..., None]) -> C:
    """An implementation of a contract of events that has ``notify(name, **params)`` push each of them."""

    def pushing(method: Method) -> Callable[..., None]:
        def push(self: Any, *args: Any, **kwargs: Any) -> None:
            given = method.arguments(args, kwargs)
            notify(method.name, **{name: msgspec.to_builtins(value, str_keys=True) for name, value in given.items()})

        return push

    members = {name: pushing(method) for name, method in methods_of(contract).items()}
    return type(f"{contract.__name__}Events", (), members)()  # type: ignore[no-any-return]


async def answer(contract: type[C], implementation: C, method: str, params: Mapping[str, Any]) -> Any:
    """Do a call that has arrived. Raises what it raises, or :class:`PypesError` for one that the contract does not have."""
    known = _find(contract, method)
    return await getattr(implementation, method)(**known.received(params))


def handle_event(contract: type[C], implementation: C, event: str, params: Mapping[str, Any]) -> None:
    """Pass an event that has arrived to the method of its name."""
    known = _find(contract, event)
    getattr(implementation, event)(**known.received(params))


def _find(contract: type, method: str) -> Method:
    known = methods_of(contract).get(method)
    if known is None:
        raise PypesError(f"{contract.__name__} has no method {method!r}", code="control.unknown_method")
    return known
