"""Reports: what became of documents in a trial, filter by filter."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pypes.observe.hiding import Hiding
from pypes.runtime.trials.cutting import Cutter

#: Failures that are shown of a report that is cut.
MOST_FAILURES: Final = 1000

#: A packet in JSON form.
Form = dict[str, Any]


class Origin(msgspec.Struct, frozen=True):
    """The origin of a packet that came to an input ``port``: a place among those that went out of a filter by a port.

    Without a filter, it came into the graph there.
    """

    port: str
    filter: str | None = None
    out: str | None = None
    index: int | None = None


class Call(msgspec.Struct):
    """The work of a filter in one go: the places of packets that it took, and of those that it sent, by port.

    It took none where it sent on what it had held. ``dropped`` counts packets of which nothing went on; ``failed``: one of them
    was given up. ``at_ms`` is the time since the begin of the run, ``waited_ms`` that of calls beside the graph.
    """

    taken: list[int] = msgspec.field(name="in")
    out: dict[str, list[int]] = msgspec.field(default_factory=dict)
    at_ms: float = 0.0
    ms: float = 0.0
    waited_ms: float = 0.0
    attempt: int = 1
    dropped: int = 0
    failed: bool = False


class Counts(msgspec.Struct):
    """Packets that came in and went out of a filter, also those that are not shown."""

    taken: int = msgspec.field(name="in", default=0)
    out: dict[str, int] = msgspec.field(default_factory=dict)


class Step(msgspec.Struct):
    """The work of one filter: packets (JSON form) that came in, and went out by port; how many it dropped; its first error.

    ``origins`` are those of the packets that came in; ``parents`` has by port, for each packet that went out, the place of the
    one that it was made of, ``None`` where that is not known or where there are several.
    """

    filter: str
    component: str
    taken: list[Form] = msgspec.field(name="in", default_factory=list)
    out: dict[str, list[Form]] = msgspec.field(default_factory=dict)
    dropped: int = 0
    error: dict[str, Any] | None = None
    ms: float = 0.0
    waited_ms: float = 0.0
    counts: Counts = msgspec.field(default_factory=Counts)
    origins: list[Origin] = msgspec.field(default_factory=list)
    parents: dict[str, list[int | None]] = msgspec.field(default_factory=dict)
    calls: list[Call] = msgspec.field(default_factory=list)


class Report(msgspec.Struct):
    """The result of a trial; the numbers count documents. ``failures`` are ``{filter, code, error, traceback, attempts, in}``.

    ``failed`` documents may have fewer or more of these, of which the first are shown.

    ``test`` is one that expects what was seen, where that was asked for; ``no_test`` says why there is none.
    """

    steps: list[Step]
    published: int
    dropped: int
    failures: list[dict[str, Any]]
    failed: int = 0
    test: dict[str, Any] | None = None
    no_test: str = ""

    @property
    def arrived(self) -> dict[str, list[Form]]:
        """Packets that came in, by filter."""
        return {step.filter: step.taken for step in self.steps}

    def shown(self, hiding: Hiding, cutter: Cutter | None = None) -> Report:
        """The report as people may read it; with a ``cutter``, as small as it has it."""
        known: dict[int, Form] = {}

        def show(forms: list[Form]) -> list[Form]:
            for form in forms:  # what goes out of one filter comes in at others
                if id(form) not in known:
                    known[id(form)] = hiding.packet(form)
            found = [known[id(form)] for form in forms]
            return found if cutter is None else [cutter.packet(form) for form in found]

        redacted = hiding.secrets.redacted
        steps = [
            msgspec.structs.replace(
                step,
                taken=show(step.taken),
                out={port: show(packets) for port, packets in step.out.items()},
                error=redacted(step.error),
            )
            for step in self.steps
        ]
        failures = self.failures if cutter is None else self.failures[:MOST_FAILURES]
        return msgspec.structs.replace(self, steps=steps, failures=redacted(failures))
