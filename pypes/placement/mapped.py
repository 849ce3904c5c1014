"""Mapped memory: a file in memory as a view that holds no descriptor."""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import weakref

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_longlong)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)

_FAILED = ctypes.c_void_p(-1).value
#: All pages at once, where the system can: a fault for each costs as much as copying it.
_POPULATE = getattr(mmap, "MAP_POPULATE", 0)


def file_in_memory(name: str) -> int:
    """Descriptor of an empty file in memory, which goes with its last descriptor and its last mapping."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:  # outside Linux: at least it has no name
        return os.dup(file.fileno())


def mapped(fd: int, size: int) -> memoryview:
    """The first ``size`` bytes of a file, mapped until the last view of them is gone; ``fd`` may be closed at once.

    An object of :mod:`mmap` keeps a descriptor of its own before Python 3.13, so that a program which keeps a thousand arrays
    would run out of them. Raises ``OSError``.
    """
    address = _libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _POPULATE, fd, 0)
    if address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot map {size} bytes: {os.strerror(number)}")
    memory = (ctypes.c_ubyte * size).from_address(address)
    # views of it keep it, and the last one lets go of it
    weakref.finalize(memory, _libc.munmap, address, size).atexit = False
    return memoryview(memory).cast("B")
