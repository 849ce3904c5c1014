"""Hops: how often a document was handed from node to node, so that nodes which hand it to each other in a circle end."""

from __future__ import annotations

from typing import Final

#: The header field of a request that says so of its documents, in lower case.
FIELD: Final = "pypes-hops"
#: The metadata in which it stays with a document, as text.
META: Final = "hops"
#: A document that would come further is refused.
MAX_HOPS: Final = 8
