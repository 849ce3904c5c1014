"""The cost of TLS: single documents over connections that last, and connections that are new, against a node that speaks HTTP."""

from __future__ import annotations

import socket
import ssl
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.endpoint import single_documents
from benchmarks.measure import NodeSide, five_filters, interleaved, medians, node, processor_s
from benchmarks.report import Line
from tests.certificates import Authority

SECONDS = 4.0
CONNECTIONS = 1000

ASKED = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def lines() -> Iterator[Line]:
    """Both figures; of the node's processes alone, the client ciphers, too."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        files = authority.issue()
        with (
            node(five_filters()) as plain,
            node(five_filters(), *files.flags, ca_file=authority.file) as encrypted,
        ):
            sides = NodeSide(plain), NodeSide(encrypted)
            rounds = interleaved(sides, single_documents(), seconds=SECONDS)
            usual, ciphered = medians(rounds, lambda each: each.processor_us)
            yield Line(
                "single documents of 1 KB over TLS, connections that last: processor time for each, against plain HTTP",
                f"{ciphered:.2f} µs; without {usual:.2f} µs",
                statistics.median(other.processor_us / one.processor_us for one, other in rounds),
                must=1.75,
                stretch=1.25,
            )
            before = connected(sides[0], plain.port, None)
            with_tls = connected(sides[1], encrypted.port, authority.trusting())
            yield Line(
                "a new connection with one request over TLS 1.3 (ECDSA P-256): processor time, against plain HTTP",
                f"{with_tls:.0f} µs; without {before:.0f} µs",
                with_tls,
                must=2000,
                stretch=1000,
                unit=" µs",
            )


def connected(side: NodeSide, port: int, context: ssl.SSLContext | None) -> float:
    """Microseconds of processor time of a node for a connection that is made, asks once, and ends."""
    began = processor_s(side.process)
    for _ in range(CONNECTIONS):
        link = socket.create_connection(("127.0.0.1", port))
        if context is not None:
            link = context.wrap_socket(link, server_hostname="127.0.0.1")
        with link:
            link.sendall(ASKED)
            while link.recv(65536):
                pass
    return (processor_s(side.process) - began) / CONNECTIONS * 1e6
