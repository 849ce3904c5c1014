"""Codecs: from bodies to documents. Workers check (:func:`check`, :class:`Checker`), instances read (:func:`documents`)."""

from pypes.ingest.codecs.checking import Checker, check
from pypes.ingest.codecs.decoding import Batch, documents
from pypes.ingest.codecs.encodings import normalize
from pypes.ingest.codecs.media import MediaType, match, parse

__all__ = ["Batch", "Checker", "MediaType", "check", "documents", "match", "normalize", "parse"]
