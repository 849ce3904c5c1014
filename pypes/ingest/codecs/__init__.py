"""Codecs: from bodies to documents. Workers check (:func:`check`, :class:`Checker`), instances read (:func:`documents`)."""

from pypes.ingest.codecs.checking import Checker, check
from pypes.ingest.codecs.decoding import Batch, documents
from pypes.ingest.codecs.encodings import normalize
from pypes.ingest.codecs.media import IN_PART, MediaType, match, parse
from pypes.ingest.codecs.survey import Survey, Unreadable

__all__ = [
    "IN_PART",
    "Batch",
    "Checker",
    "MediaType",
    "Survey",
    "Unreadable",
    "check",
    "documents",
    "match",
    "normalize",
    "parse",
]
