"""Remembered: what ``Unchanged`` knows of one document, and what follows from it for the next version that comes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pypes.core.identity import Version


class Remembered(NamedTuple):
    """The newest version of a document that came past, and what is known to be published of it.

    ``content`` is the fingerprint of that version, empty where nobody can tell what is published last. It counts once the
    version ``is_whole``: complete at all publishers, under the digest ``behind`` of what lies behind the filter.
    """

    version: Version
    behind: str
    content: bytes = b""
    is_whole: bool = False

    def forgotten(self) -> Remembered:
        """The same version, of which nothing is known."""
        return self._replace(content=b"", is_whole=False)

    def encode(self) -> bytes:
        return _encoder.encode(self)

    @classmethod
    def decode(cls, data: bytes | None) -> Remembered | None:
        """Inverse of :meth:`encode`; ``None`` for nothing, and for what something else wrote."""
        try:
            return None if data is None else _decoder.decode(data)
        except msgspec.DecodeError:
            return None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Remembered)


class Verdict(NamedTuple):
    """The verdict on a version: does it pass, what is known from ``now`` on, and ``must_last`` that before it goes on?"""

    passes: bool
    now: Remembered | None
    must_last: bool = False


def arrived(known: Remembered | None, version: Version, behind: str, content: bytes) -> Verdict:
    """A version has come to the filter; ``content`` is its fingerprint, empty for a deletion.

    It is held back if the newest version is whole and has the same content, or is newer.
    """
    if known is None:
        return Verdict(True, Remembered(version, behind, content))
    if known.is_whole and known.behind == behind and (known.content == content or version < known.version):
        return Verdict(False, known._replace(version=max(version, known.version)))
    # what is remembered now would be wrong as soon as something behind the filter has published the version
    must_last = known.is_whole
    if version > known.version or not version.receipt:  # outside of a node there is no other order than that of arrival
        return Verdict(True, Remembered(version, behind, content), must_last)
    if version == known.version and known.content == content and not known.is_whole:
        return Verdict(True, known)
    # several packets of one version, or an older one beside a newer one: nobody knows which is published last
    return Verdict(True, known.forgotten(), must_last)


def concluded(known: Remembered | None, version: Version, behind: str, *, is_whole: bool) -> Verdict:
    """A version is done everywhere in the graph."""
    if known is None or version < known.version:
        return Verdict(True, known)
    if version > known.version:  # it did not come past the filter
        return Verdict(True, known.forgotten()._replace(version=version), known.is_whole)
    if not is_whole:
        return Verdict(True, known.forgotten(), known.is_whole)
    return Verdict(True, known._replace(is_whole=bool(known.content) and known.behind == behind))
