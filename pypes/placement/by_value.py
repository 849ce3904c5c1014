"""By value: pickles that bring classes and functions with them, such as those of the main program, which no module has."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any


def dumps(value: Any, buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    """A value as bytes that ``pickle.loads`` takes; buffers as in ``pickle.dumps``. Raises whatever the value's own code does.

    Classes that are known where it is loaded stay as they are there: the first value that brings a class defines it.
    """
    import cloudpickle

    buffers: list[pickle.PickleBuffer] = []
    data = cloudpickle.dumps(value, 5, buffer_callback=None if buffer_callback is None else buffers.append)
    return pickle.dumps(_Brought(data, buffers), 5, buffer_callback=buffer_callback)


class _Brought:
    """Stands for a value, which is made again when this is loaded."""

    def __init__(self, data: bytes, buffers: Sequence[pickle.PickleBuffer]) -> None:
        self._parts = data, *buffers

    def __reduce__(self) -> Any:
        return _made_of, self._parts


def _made_of(data: bytes, *buffers: Any) -> Any:
    return _Unpickler(io.BytesIO(data), buffers=buffers).load()


class _Unpickler(pickle.Unpickler):
    """Leaves classes that are known here as they are.

    A class that travels by value is found again by cloudpickle, which would then give it the attributes that it had there: lists
    of that process, and methods that see other globals.
    """

    def __init__(self, file: io.BytesIO, *, buffers: Sequence[Any]) -> None:
        super().__init__(file, buffers=buffers)
        self._known: list[type] = []

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        if module == "cloudpickle.cloudpickle":
            if name in ("_make_skeleton_class", "_make_skeleton_enum"):
                return partial(self._find_or_make, sys.modules[module], found)
            if name == "_class_setstate":
                return partial(self._fill, found)
        return found

    def _find_or_make(self, cloudpickle: Any, make: Callable[..., type], *args: Any) -> type:
        is_known = args[-2] in cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID
        found = make(*args)
        if is_known:
            self._known.append(found)
        return found

    def _fill(self, fill: Callable[[type, Any], type], made: type, state: Any) -> type:
        return made if any(made is known for known in self._known) else fill(made, state)
