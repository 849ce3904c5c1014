"""Instance: one process that runs one copy of each deployed graph.

Ingest workers connect to its unix socket and send deliveries; it decodes them, runs the schedulers, and answers with
one acknowledgement frame per epoch. The supervisor talks to it over a pipe::

    instance → supervisor   ("ready",)                                      set-up done, the socket accepts
                            ("failed", graph, node, message, traceback)     set-up failed; the process then exits with 1
    supervisor → instance   ("stop", grace_s)                               drain: finish what runs, flush, teardown, exit 0

It ignores SIGTERM and SIGINT, and exits at once when the lifeline pipe ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pypes.core.limits import Limits


@dataclass(frozen=True)
class InstanceSpec:
    """All an instance process needs to know; plain values, so that it travels by pickle.

    ``graphs`` is name → (version, graph JSON object as ``graph.codec.to_obj`` gives it, ``${ENV}`` not expanded);
    ``components`` is component name → ``ComponentSpec.to_obj()`` for those the graphs use (load files included).
    """

    id: int
    generation: int
    socket: str
    graphs: Mapping[str, tuple[int, Mapping[str, Any]]]
    components: Mapping[str, Mapping[str, Any]]
    limits: Limits = field(default_factory=Limits)
    durability: str = "always"
    data_dir: str = "."
    load_files: tuple[str, ...] = ()
    log_json: bool = False
    log_level: str = "INFO"


def main(spec: InstanceSpec, control: Any, lifeline: Any) -> None:
    """Run the instance until it is told to stop; ``control`` and ``lifeline`` are ``multiprocessing`` connections.

    ``control`` is duplex. ``lifeline`` is the reading end of a pipe that nobody writes to: its end means that the
    supervisor is gone.
    """
    raise NotImplementedError
