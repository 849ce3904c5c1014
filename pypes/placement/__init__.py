"""Where a component runs: in the instance, or (``isolated = True``) in a process of its own that can be killed.

``standin`` stands for an isolated component in the scheduler, ``keeper`` sees to it that there is always a ``process`` to send
packets to, ``child`` is what runs in that, ``wire`` is what the two say to each other.
"""

from pypes.placement.standin import isolate

__all__ = ["isolate"]
