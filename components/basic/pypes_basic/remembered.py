"""Remembered: what ``Unchanged`` knows of one document, and what follows from it for the next version that comes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pypes.core.identity import Version


class Remembered(NamedTuple):
    """The newest version of a document that came past, and what is known to be published of it.

    ``content`` is the fingerprint of that version, empty where nobody can tell what is published last. It counts once it is
    ``published``, by the version that is complete at all publishers, under the digest ``behind`` of what lies behind the filter:
    that one, or an older one of the same content, for which it was held back.
    """

    version: Version
    behind: str
    content: bytes = b""
    published: Version | None = None

    def forgotten(self) -> Remembered:
        """The same version, of which nothing is known."""
        return self._replace(content=b"", published=None)

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
    """The verdict on a version: does it pass, what is known from ``now`` on, and ``must_last`` that before it goes on?

    ``passes`` is ``None`` for a part of a version that was held back, as if it had no parts: that has to run again.
    """

    passes: bool | None
    now: Remembered | None
    must_last: bool = False


def arrived(known: Remembered | None, version: Version, behind: str, content: bytes) -> Verdict:
    """A version has come to the filter; ``content`` is its fingerprint, empty for a deletion.

    It is held back if the newest version is published and has the same content, or is newer. One that runs again after it was
    published, because its instance died before anybody knew, passes again: its receipt shall say that it is published.
    """
    if known is None:
        return Verdict(True, Remembered(version, behind, content))
    if known.published is not None and _is_posted_as(version, known.version) and _is_posted_as(version, known.published):
        return Verdict(True, Remembered(version, behind, content))
    if known.published is not None and known.behind == behind and (known.content == content or version < known.version):
        return Verdict(False, known._replace(version=max(version, known.version)))
    # what is remembered now would be wrong as soon as something behind the filter has published the version
    must_last = known.published is not None
    if version > known.version or not version.receipt:  # outside of a node there is no other order than that of arrival
        return Verdict(True, Remembered(version, behind, content), must_last)
    if version == known.version and known.content == content and known.published is None:
        return Verdict(True, known)
    # several packets of one version, or an older one beside a newer one: nobody knows which is published last
    return Verdict(True, known.forgotten(), must_last)


def _is_posted_as(version: Version, other: Version) -> bool:
    """True for two runs of what was posted once; outside of a node nobody knows."""
    return bool(version.receipt) and (version.receipt, version.index) == (other.receipt, other.index)


def part_arrived(known: Remembered | None, version: Version, behind: str) -> Verdict:
    """A part of a version has come to the filter: of a document that has parts nothing is remembered."""
    is_held = known is not None and known.published is not None and known.version == version
    verdict = arrived(known, version, behind, b"")
    return verdict._replace(passes=None) if is_held else verdict


def concluded(known: Remembered | None, version: Version, behind: str, *, is_whole: bool) -> Verdict:
    """A version is done everywhere in the graph."""
    if known is None:
        return Verdict(True, None)
    is_known = known.published is not None
    if version > known.version:  # it did not come past the filter
        return Verdict(True, known.forgotten()._replace(version=version), is_known)
    if version < known.version:
        # what was held back since may have been held back for what this one, which went another way, has replaced
        is_between = known.published is not None and known.published < version
        return Verdict(True, known.forgotten(), True) if is_between else Verdict(True, known)
    if not is_whole:
        return Verdict(True, known.forgotten(), is_known)
    if known.published is None and known.content and known.behind == behind:
        known = known._replace(published=version)
    return Verdict(True, known)
