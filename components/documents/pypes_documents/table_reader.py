"""A table of text (CSV, TSV) as a document, not as one for each row."""

from __future__ import annotations

import io

from pypes import Packet
from pypes_basic.dialect import dialect_of
from pypes_basic.rows import rows_of
from pypes_documents.job import Job, finish


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with a table."""
    lines = list(io.StringIO(job.take_text(packet), newline=""))
    delimiter = "\t" if packet.get_meta("mimetype") == "text/tab-separated-values" else ""
    dialect = dialect_of(lines, is_whole=True, delimiter=delimiter, quotes=True)
    most = job.bounds.max_chars
    rows = rows_of([lines], dialect.delimiter, most, most, dialect.skipped_lines, quotes=True)
    text = job.text()
    text.add_table([row for some in rows for row in some if row])
    finish(packet, text, {}, empty="the table has no cell with text")
