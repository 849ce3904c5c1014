"""The greenlet scheduler: feeds in, epochs done out. Nothing here knows of processes, sockets or queues."""

from pypes.runtime.scheduler.dead import as_json, named
from pypes.runtime.scheduler.epoch import FAILED, PUBLISHED, Epoch, Failure
from pypes.runtime.scheduler.feed import BARRIER, Batch, Feed
from pypes.runtime.scheduler.scheduler import Scheduler

__all__ = ["BARRIER", "FAILED", "PUBLISHED", "Batch", "Epoch", "Failure", "Feed", "Scheduler", "as_json", "named"]
