"""What became of a delivery: counts of documents, and the dead letters it left."""

from __future__ import annotations

import uuid

import msgspec

_NAMESPACE = uuid.UUID("6f8d2c1e-70e5-5a54-9d3b-2c7b6a1f4e90")


class DeadLetter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A packet that could not be processed (or a whole delivery: ``filter`` is then empty), with its reason.

    ``documents`` are the ordinals, within the delivery, that it was made from; ``packet`` is the packet's JSON form as bytes
    (the body as received for a whole delivery); ``time`` is seconds since the epoch.
    """

    id: str
    documents: tuple[int, ...]
    graph: str
    version: int
    filter: str
    component: str
    code: str
    error: str
    traceback: str
    attempts: int
    packet: bytes
    time: float


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Counts of documents of one delivery (their sum is what was accepted), and its dead letters.

    ``keeps_body``: the dead letters do not hold all there was, so the body as received is kept with the first of them.
    """

    published: int = 0
    dropped: int = 0
    failed: int = 0
    dead_letters: tuple[DeadLetter, ...] = ()
    keeps_body: bool = False

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes | memoryview) -> Outcome:
        """Inverse of :meth:`encode`; raises ``msgspec.DecodeError``."""
        return msgspec.msgpack.decode(data, type=cls)


def dead_letter_id(receipt: str, document: int, filter: str, ordinal: int = 0) -> str:
    """Id of a dead letter: the same for every run of the same delivery, so that a re-run replaces it, never doubles it."""
    return str(uuid.uuid5(_NAMESPACE, f"{receipt}/{document}/{filter}/{ordinal}"))
