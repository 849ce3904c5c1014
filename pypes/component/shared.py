"""Shared resources: objects that several components of one process use together.

The first component that asks makes the object, and it is closed after the last one has given it back. What two components ask for
is the same if ``make`` and the arguments are equal, and the arguments are of equal types (``1``, ``1.0`` and ``True`` differ).
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import RLock
from typing import Any, Protocol

from pypes.core.raised import is_interruption
from pypes.core.returned import unrun
from pypes.errors import ComponentError


class Named(Protocol):
    """The attributes of a component that are needed here: its name, and the log for what cannot be closed."""

    name: str

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]: ...


class Resource:
    """One shared object, and the number of times it was asked for and not yet given back."""

    def __init__(self, owner: Resources, key: Hashable, name: str, made: Any) -> None:
        self._owner = owner
        self.key = key
        #: Names its maker; arguments may be secret and are never shown.
        self.name = name
        self.users = 0
        self._made = made
        self._is_entered = _is_to_be_entered(made)
        #: The object as components get it.
        self.value = made.__enter__() if self._is_entered else made

    def give_back(self) -> None:
        """End one use; the last one closes the object. Raises what closing it raises."""
        self._owner.give_back(self)

    def close(self) -> None:
        """Close the object: leave it if it was entered, else call its ``close``, if it has one."""
        if self._is_entered:
            self._made.__exit__(None, None, None)
        elif callable(close := getattr(self._made, "close", None)):
            fault = unrun(close(), f"close of the shared {self.name}")
            if fault is not None:
                raise fault


class Resources:
    """The shared resources of one process, or of one ``Pipeline``.

    Any thread may ask; while one makes an object, the others wait.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._made: dict[Hashable, Resource] = {}
        self._in_making: set[Hashable] = set()

    def take(self, make: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Resource:
        """The resource of a maker and its arguments, which is made if nobody has it. Counts one use more.

        Raises what ``make`` raises, and then forgets that it was asked for. Raises :class:`ComponentError` for an argument that
        cannot be compared later (``component.unshareable``), and if the maker asks for what it is about to make.
        """
        name = getattr(make, "__qualname__", type(make).__name__)
        key = _key(make, name, args, kwargs)
        with self._lock:
            if key in self._in_making:
                raise ComponentError(
                    f"the maker of the shared {name} asks for the same object again; make what it needs there, or ask for that "
                    "with other arguments",
                    code="component.unshareable",
                )
            resource = self._made.get(key)
            if resource is None:
                self._in_making.add(key)
                try:
                    made = make(*args, **kwargs)
                    _check(made, name)
                    resource = self._made[key] = Resource(self, key, name, made)
                finally:
                    self._in_making.remove(key)
            resource.users += 1
            return resource

    def give_back(self, resource: Resource) -> None:
        """End one use of a resource, see :meth:`Resource.give_back`."""
        with self._lock:
            resource.users -= 1
            if not resource.users:
                del self._made[resource.key]
                resource.close()


class Shares:
    """The shared resources that one component has asked for, in this order."""

    def __init__(self, component: Named) -> None:
        self._component = component
        self._taken: list[Resource] = []
        #: Those of the component alone, until whoever runs it gives it those of its process.
        self.resources = Resources()

    def take(self, make: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Ask for an object, see :meth:`Resources.take`."""
        resource = self.resources.take(make, args, kwargs)
        self._taken.append(resource)
        return resource.value

    def give_back(self, value: Any) -> None:
        """Give an object back that was asked for. Raises :class:`ComponentError` for any other (``component.not_shared``)."""
        for position in reversed(range(len(self._taken))):
            if self._taken[position].value is value:
                self._give_back(self._taken.pop(position))
                return
        raise ComponentError(
            f"unshare was given a {type(value).__name__} that this component did not ask for, or has given back; give it what "
            "shared returned",
            code="component.not_shared",
            where=self._component.name,
        )

    def give_back_all(self) -> None:
        """Give everything back, the latest first: it may use what was asked for before. Never raises for a failed ``close``."""
        while self._taken:
            self._give_back(self._taken.pop())

    def _give_back(self, resource: Resource) -> None:
        try:
            resource.give_back()
        except BaseException as error:
            if is_interruption(error):
                raise
            self._component.log.exception("closing the shared %s failed", resource.name)


def _is_to_be_entered(made: Any) -> bool:
    """True for a context manager that has no ``close``; not for a lock, which would be taken for good."""
    return isinstance(made, AbstractContextManager) and not (hasattr(made, "close") or hasattr(made, "acquire"))


def _check(made: Any, name: str) -> None:
    """Raise :class:`ComponentError` if a maker has not done its work yet."""
    if inspect.isgenerator(made):
        reason = f"the maker {name} returned a generator; decorate it with @contextlib.contextmanager, or return the object"
    elif (fault := unrun(made, f"the maker {name}")) is not None:
        reason = str(fault.reason)
    else:
        return
    raise ComponentError(reason, code="component.returned")


class _Unhashable(Exception):
    """A value of the named type has no hash."""


def _key(make: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable:
    frozen = []
    for place, value in [("", make), *((str(number), arg) for number, arg in enumerate(args, 1)), *kwargs.items()]:
        try:
            frozen.append((place, _frozen(value)))
        except _Unhashable as error:
            what = f"argument {place}" if place else "the maker"
            raise ComponentError(
                f"shared({name}): {what} is, or holds, a {error}, which has no hash, so nobody can tell whether another "
                "component asks for the same; give texts, numbers, and lists and dicts of them",
                code="component.unshareable",
            ) from None
    return frozenset(frozen)


def _frozen(value: Any) -> Hashable:
    """A value as part of a key, equal only to values of its own type; lists, dicts and sets as they are now."""
    if isinstance(value, list | tuple):
        return type(value), tuple(map(_frozen, value))
    if isinstance(value, dict):
        return type(value), frozenset((_frozen(key), _frozen(item)) for key, item in value.items())
    if isinstance(value, set | frozenset):
        return type(value), frozenset(map(_frozen, value))
    try:
        hash(value)
    except TypeError:
        raise _Unhashable(type(value).__name__) from None
    return type(value), value
