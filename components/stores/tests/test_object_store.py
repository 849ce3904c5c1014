"""Object stores that cannot be made; tests/servers has one that is asked."""

from __future__ import annotations

import pytest

from pypes.errors import ComponentError
from pypes_stores.object_store import opened, told
from tests.needed import library

library("obstore", "pypes-stores[s3]")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": "5s", "region": "x"}, "one of options cannot be given: region, timeout"),
        ({"nonsense": "x"}, "'nonsense' is not valid"),
        ({"skip_signature": "maybe"}, "failed to parse"),
    ],
)
def test_options_that_cannot_be_given_are_told_of(options: dict[str, str], said: str) -> None:
    with pytest.raises(ComponentError, match=said) as raised, told(str):
        opened("s3://papers", options, 1.0)
    assert raised.value.code == "s3.failed"
