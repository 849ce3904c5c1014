"""Deletions, and packets that need no reading any more, pass adapters as they are."""

from __future__ import annotations

import pytest

from pypes import Adapter, Packet
from pypes.testing import run_component
from pypes_basic.csv_adapter import CSV
from pypes_basic.text_adapter import Text


@pytest.mark.parametrize("adapter", [CSV, Text])
def test_fields_without_data_pass_as_they_are(adapter: type[Adapter]) -> None:
    packets = [Packet({"text": "said by hand"}, {"id": "7", "mimetype": "text/csv"})]
    packets.append(Packet(meta={"requestmethod": "DELETE", "id": "7"}))
    assert run_component(adapter, packets).packets == packets


@pytest.mark.parametrize("adapter", [CSV, Text])
def test_neither_is_rejected(adapter: type[Adapter]) -> None:
    (failure,) = run_component(adapter, [Packet(meta={"id": "7"})]).dead_letters
    assert (failure.code, "no bytes to read" in failure.error) == ("document.no_data", True)
