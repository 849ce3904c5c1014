"""Meter: counts of what one filter has done so far, always on."""

from __future__ import annotations


class Meter:
    """Counts of one filter; they only rise. Packets that it was sent, and has sent, are counted by its wires.

    PERF: plain attributes, which the drivers change once for a chunk or a turn. Whoever shows them reads them between turns. What
    happens seldom also puts the meter among ``news``, so that nobody has to look for it.
    """

    __slots__ = (
        "_news",
        "_since_s",
        "commit_s",
        "commits",
        "committed",
        "dropped",
        "error_at",
        "failures",
        "held_up",
        "parked_s",
        "retries",
        "seconds",
        "waiting_s",
    )

    def __init__(self, news: set[Meter]) -> None:
        self._news = news
        #: Time in its code, pool workers' too; a turn counts when it ends, or another filter goes on within it.
        self.seconds = 0.0
        #: Time of its calls beside the graph, of which several may run at once.
        self.waiting_s = 0.0
        #: Time in which it was held up: it rests, packets wait for another try, or a wire behind it is full.
        self.parked_s = 0.0
        #: Packets of which nothing went on, those that failed for good, and those that were to be tried again.
        self.dropped = 0
        self.failures = 0
        self.retries = 0
        #: Commits of a publisher, the packets in them, and the time that these took.
        self.commits = 0
        self.committed = 0
        self.commit_s = 0.0
        #: Wall-clock time of the last error, 0 if there was none.
        self.error_at = 0.0
        #: The number of reasons for which it is held up, and since when it is.
        self.held_up = 0
        self._since_s = 0.0

    def worked(self, seconds: float) -> None:
        """Count work that was done elsewhere."""
        self.seconds += seconds

    def waited(self, seconds: float) -> None:
        """Count a call beside the graph, which has ended."""
        self.waiting_s += seconds
        self.tell()

    def drop(self, packets: int) -> None:
        """Count packets of which nothing goes on."""
        self.dropped += packets

    def fail(self, error_at: float) -> None:
        """Count a packet that has failed for good."""
        self.failures += 1
        self.err(error_at)

    def err(self, error_at: float) -> None:
        """Note an error that need not be the end of a packet."""
        self.error_at = error_at
        self.tell()

    def tell(self) -> None:
        """Something has changed that seldom does: failures, retries, waiting, being held up, errors, a rest."""
        self._news.add(self)

    # -- being held up --------------------------------------------------------------------------------------

    def hold_up(self, now_s: float) -> None:
        """It is held up, for one more reason."""
        if not self.held_up:
            self._since_s = now_s
            self.tell()
        self.held_up += 1

    def let_on(self, now_s: float) -> None:
        """One of the reasons is gone."""
        if self.held_up:  # else all was ended by force meanwhile
            self.held_up -= 1
            if not self.held_up:
                self._add_parked(now_s)

    def let_go(self, now_s: float) -> None:
        """All reasons are void."""
        if self.held_up:
            self.held_up = 0
            self._add_parked(now_s)

    def up_to(self, now_s: float) -> None:
        """Count the time of what holds it up still."""
        if self.held_up:
            self._add_parked(now_s)

    def _add_parked(self, now_s: float) -> None:
        self.parked_s += now_s - self._since_s
        self._since_s = now_s
        self.tell()
