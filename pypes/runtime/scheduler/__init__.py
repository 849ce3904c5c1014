"""The greenlet scheduler: feeds in, epochs done out. Nothing here knows of processes, sockets or queues."""

from pypes.runtime.scheduler.epoch import FAILED, PUBLISHED, Epoch, Failure, Feed
from pypes.runtime.scheduler.hub import Scheduler

__all__ = ["FAILED", "PUBLISHED", "Epoch", "Failure", "Feed", "Scheduler"]
