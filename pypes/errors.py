"""The error tree.

Split by whose fault it is, so that a caller can tell what to do from the class alone::

    PypesError
    ├── InvalidInput          the caller sent or configured something wrong: mend it, then try again
    │   ├── BadRequest            a body that is not what its content type says
    │   ├── UnsupportedMedia      a content type or encoding that cannot be read
    │   ├── TooLarge              exceeds one of the limits (docs/limits.md)
    │   ├── InvalidGraph          a graph with problems; carries *all* of them
    │   ├── InvalidConfig         a flag, a key of pypes.ini or an environment variable
    │   ├── InvalidComponent      a component class that breaks the contract
    │   ├── BadId                 text that cannot be the id of a document
    │   ├── NotFound              no such graph, filter, component or receipt
    │   ├── Gone                  existed once, and is forgotten by now
    │   ├── Conflict              contradicts the present state: another body under the same idempotency key, …
    │   └── Changed               somebody else changed it meanwhile (a precondition does not hold)
    ├── Forbidden             the caller may not do this (scope, Host, Origin)
    │   └── Unauthorized          nobody knows who the caller is (token)
    ├── Unavailable           not now: try again later, nothing is broken
    │   ├── QueueFull             names the ``limit`` that is reached; ``where`` is the graph, if it is one of a graph
    │   │   ├── LettersFull           a graph has too many dead letters to take more documents
    │   │   └── DiskFull              a graph has reached its own limit of bytes on the disk
    │   ├── OverBudget            the client is over a budget of its token, or has its part of what all share
    │   ├── NotDeployed           no graph would take the document
    │   └── Draining              the node is stopping
    ├── StoreError            the disk or the store under it failed: nothing was acknowledged
    │   └── StoreFull             there is no room on it
    ├── ComponentError        a component failed: at set-up, while running, or by standing still
    └── InternalError         a bug of Pypes

Three more are raised *by* components to steer what happens to a packet: :class:`Reject`, :class:`Retry` and :class:`Unreachable`.
Every error carries a stable ``code`` (clients match on it), a sentence for a person, and ``where`` it is.
HTTP statuses are not known here: they live in one mapping in ``pypes.api.problems``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: its place (``path``, e.g. ``nodes.html.params.fields``), a sentence, and its stable code."""

    path: str
    message: str
    code: str = "invalid"

    def to_obj(self) -> dict[str, str]:
        """As JSON values: ``{path, message, code}``."""
        return {"path": self.path, "message": self.message, "code": self.code}


class PypesError(Exception):
    """Base of all errors of Pypes."""

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None, where: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.where = where
        self.problems = tuple(problems)

    def __str__(self) -> str:
        # a sentence that tells the place ("at line 2, column 5") is read by itself too, in answers over HTTP
        is_told = not self.where or self.message.startswith(self.where) or (" " in self.where and self.where in self.message)
        head = self.message if is_told else f"{self.where}: {self.message}"
        return "\n".join([head, *(f"  {p.path}: {p.message}" for p in self.problems)])


class InvalidInput(PypesError):
    code = "invalid"


class BadRequest(InvalidInput):
    code = "ingest.malformed"


class UnsupportedMedia(InvalidInput):
    code = "ingest.unsupported_media"


class TooLarge(InvalidInput):
    code = "ingest.too_large"


class InvalidGraph(InvalidInput):
    code = "graph.invalid"


class InvalidConfig(InvalidInput):
    code = "config.invalid"


class InvalidComponent(InvalidInput):
    code = "component.invalid"


class BadId(InvalidInput):
    """Text given as the id of a document that cannot be one."""

    code = "document.id"


class NotFound(InvalidInput):
    code = "not_found"


class Gone(InvalidInput):
    code = "gone"


class Conflict(InvalidInput):
    code = "conflict"


class Changed(InvalidInput):
    code = "changed"


class Unconditional(InvalidInput):
    """A change that has to say what it is a change of."""

    code = "request.unconditional"


class Forbidden(PypesError):
    code = "forbidden"


class Unauthorized(Forbidden):
    code = "token.missing"


class Unavailable(PypesError):
    """A temporary condition. ``retry_after_s`` is the wait in seconds before the next attempt."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: float = 1.0, code: str | None = None, where: str = "") -> None:
        super().__init__(message, code=code, where=where)
        self.retry_after_s = retry_after_s


class QueueFull(Unavailable):
    """There is no room at the moment. ``limit`` is the name of the limit that is reached (docs/limits.md)."""

    code = "queue.full"

    def __init__(
        self, message: str, *, retry_after_s: float = 1.0, code: str | None = None, where: str = "", limit: str = ""
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, code=code, where=where)
        self.limit = limit


class LettersFull(QueueFull):
    code = "deadletters.full"


class DiskFull(QueueFull):
    code = "graph.disk_full"


class OverBudget(Unavailable):
    """A client has used as much as it may. ``where`` is the name of its token, ``limit`` that of the budget.

    ``hold_s``: seconds for which the answer is to be held back, so that a client that does not wait takes little of the node.
    """

    code = "budget.exceeded"

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float = 1.0,
        code: str | None = None,
        where: str = "",
        limit: str = "",
        hold_s: float = 0.0,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, code=code, where=where)
        self.limit = limit
        self.hold_s = hold_s


class NotDeployed(Unavailable):
    code = "graph.none_deployed"


class Draining(Unavailable):
    code = "node.draining"


class WorkerEnding(Unavailable):
    code = "worker.ending"


class StoreError(PypesError):
    code = "store.failed"


class StoreFull(StoreError):
    code = "store.full"


class ComponentError(PypesError):
    code = "component.failed"


class InternalError(PypesError):
    code = "internal"


class Reject(Exception):
    """Raised by a component: this packet cannot be processed, dead-letter it with ``reason`` (text, or an exception)."""

    def __init__(self, reason: object = "", code: str = "rejected") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Retry(Exception):
    """Raised by a component: try this packet again.

    ``delay_s`` is the least wait in seconds, or a ``timedelta`` (the back-off may be longer); when the attempts are used up
    the packet is dead-lettered with ``reason``. Either may be given alone: ``Retry("service is down")``, ``Retry(5)``.
    """

    def __init__(self, delay_s: object = 0.0, reason: object = "") -> None:
        is_wait = delay_s is None or isinstance(delay_s, timedelta) or hasattr(type(delay_s), "__float__")
        if not is_wait:
            delay_s, reason = (0.0 if isinstance(reason, str) and not reason else reason), delay_s
        super().__init__(delay_s, reason)
        self.delay_s = delay_s
        self.reason = reason

    def __str__(self) -> str:
        return str(self.reason) or "retry requested"


class Unreachable(Retry):
    """Raised by a component: a service, or a destination, cannot be reached; nothing is wrong with the packet.

    Costs no attempt: the filter rests, its wire fills, and it resumes by itself, in order, when the service answers again.
    ``ConnectionError``, ``TimeoutError`` and similar exceptions of libraries have the same effect: see
    :mod:`pypes.core.unreachable`. Where nothing can rest, as in a component's own tests and in dry runs, it is a ``Retry``.
    """
