"""The load of single documents at a steady rate."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

from benchmarks.measure import reference
from benchmarks.paced import paced
from pypes.testing.node import free_port, until


def test_it_posts_at_its_rate_until_the_block_ends() -> None:
    with reference() as side:
        port = urlsplit(side.url).port
        assert port
        began = time.perf_counter()
        with paced(port, 500):
            until(lambda: side.documents() >= 250, 30, "half of a second's documents")
        took, found = time.perf_counter() - began, side.documents()
        assert found <= 500 * took
        assert side.documents() == found, "it has ended"


def test_a_server_that_is_not_there_is_no_load() -> None:
    with pytest.raises(RuntimeError, match="did not begin"), paced(free_port(), 1):
        pass
