"""Observers: hooks that a running graph calls, and the guard that switches one off that raises.

It lies at the bottom: its hooks speak of names and numbers, so whatever runs may depend on it, and it on nothing.
"""

from pypes.observe.guard import guarded
from pypes.observe.observer import Observer, WireName

__all__ = ["Observer", "WireName", "guarded"]
