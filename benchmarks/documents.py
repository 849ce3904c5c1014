"""Documents to load servers with: JSON objects of about 1 KB, each with a text of its own."""

from __future__ import annotations

import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pydoc_data import topics

#: Real prose, so that it compresses as documents do: the help texts of the language reference.
PROSE = " ".join(topics.topics[name] for name in sorted(topics.topics))
#: Characters of title and body.
TITLE, TEXT = 40, 860
#: From the beginning of one document to that of the next. Neighbours share no text, and since the number is prime, a place
#: comes again only after as many documents as the prose has characters.
STEP = 907
BATCH_DOCUMENTS = 1000


def document(n: int) -> bytes:
    """The document with the number ``n``; no two have the same id, and the text of each begins at a place of its own."""
    start = n * STEP % (len(PROSE) - TITLE - TEXT)
    title, text = PROSE[start : start + TITLE], PROSE[start + TITLE : start + TITLE + TEXT]
    return json.dumps({"id": f"doc-{n}", "title": title, "n": n, "tags": ["a", "b"], "body": text}).encode()


def lines(first: int, count: int = BATCH_DOCUMENTS) -> bytes:
    """So many documents as NDJSON."""
    return b"\n".join(document(n) for n in range(first, first + count))


@cache
def batches(count: int) -> tuple[bytes, ...]:
    """Batches of 1,000 documents, NDJSON under gzip; no document is in two of them."""

    def batch(number: int) -> bytes:
        return gzip.compress(lines(number * BATCH_DOCUMENTS), compresslevel=6)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # compression does not hold the interpreter
        return tuple(pool.map(batch, range(count)))


@cache
def singles(count: int) -> tuple[bytes, ...]:
    return tuple(document(n) for n in range(count))


SINGLE = document(0)
