"""PipeFrame: programs for that library run with this module in the place of ``pipeframe.core``.

``docs/from-pipeframe.md`` has today's form of each of its abilities.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from pypes.core.machine import cores
from pypes.errors import InvalidInput
from pypes.pipeline import Bucket, Failed, Pipeline, node
from pypes.pipeline.steps import Step, steps

log = logging.getLogger(__name__)

#: Records between the feed and the end of the steps.
BUFFER_SIZE: Final = 10_000


class PipelineEngine:
    """Base of a pipeline: its ``steps``, and a function ``feed`` that puts its records into a bucket."""

    #: Functions that take a record and return it, with True to go on, or False to pass over the steps that are left.
    steps: ClassVar[Sequence[Step]] = ()
    #: ``batch``: the feed ends before the steps begin. ``stream``: both run at the same time.
    source: ClassVar[Literal["batch", "stream"]] = "batch"
    #: Seconds without a new record after which a stream has dried.
    timeout: ClassVar[float] = 10

    def feed(self, bucket: Bucket) -> None:
        """Put records into the bucket; may be a static method."""
        raise NotImplementedError(f"{type(self).__name__} has no method feed(self, bucket)")


class PipeFrame:
    """Runs pipelines over ``cpu_count`` processes: by default, as many as there are cores but one."""

    def __init__(
        self, cpu_count: int | None = None, buffer_size: int = BUFFER_SIZE, *, stream_buffer_size: int | None = None
    ) -> None:
        """``buffer_size`` bounds the records under way; ``stream_buffer_size`` is another name for it."""
        self.cpu_count = max(1, cores() - 1) if cpu_count is None else cpu_count
        self.buffer_size = buffer_size if stream_buffer_size is None else stream_buffer_size
        #: Records of the last run on which a step failed: the last 10,000 of them.
        self.dead_letters: Sequence[Failed] = ()

    def run(self, pipeline: type[PipelineEngine] | PipelineEngine) -> None:
        """Lead each record that the pipeline is fed through its steps, and return when all is done.

        A record on which a step fails is logged and kept in :attr:`dead_letters`, and the others go on. Raises what ``feed``
        raises, and ``InvalidInput`` for a pipeline without steps. A batch may be larger than ``buffer_size``.
        """
        engine = pipeline() if isinstance(pipeline, type) else pipeline
        if not engine.steps:
            raise InvalidInput(f"{type(engine).__name__} has no steps: give it a list of functions", code="compat.no_steps")
        each = node(steps(*engine.steps), processes=self.cpu_count)
        with Pipeline(each, buffer=self.buffer_size, ordered=False) as made:
            for _ in made.feed(engine.feed, source=engine.source, idle_s=engine.timeout):
                pass
            self.dead_letters = made.dead_letters
            if self.dead_letters:
                first = self.dead_letters[0]
                log.error("%d records failed, the first with %r\n%s", made.dead_letters.total, first.error, first.traceback)
