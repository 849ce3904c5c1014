"""Observers: hooks that running graphs, queues and the supervisor call, and the guard that switches one off that raises.
Tallies: numbers that each process counts in a file of its own, always.

It lies at the bottom: its hooks speak of names and numbers, so whatever runs may depend on it, and it on packets at most.
"""

from pypes.observe.guard import guarded, together
from pypes.observe.hiding import Hiding
from pypes.observe.observer import Observer, Settlement, WireName
from pypes.observe.totals import FilterTotal, Totals

__all__ = ["FilterTotal", "Hiding", "Observer", "Settlement", "Totals", "WireName", "guarded", "together"]
