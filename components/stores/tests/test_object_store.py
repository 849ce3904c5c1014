"""Object stores that cannot be made; tests/servers has one that is asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from pypes import Unreachable
from pypes.errors import ComponentError
from pypes_stores.object_store import opened, published, refused, told
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


@pytest.mark.parametrize(("context", "error"), [(told, ComponentError), (refused, ComponentError), (published, Unreachable)])
def test_a_panic_of_a_request_is_told_of(
    context: Callable[[Any], AbstractContextManager[None]], error: type[Exception], tmp_path: Path
) -> None:
    import obstore

    token = tmp_path / "token"
    token.write_text("ends with a line break\n")
    options = {"container_credentials_full_uri": "http://127.0.0.1:9/", "container_authorization_token_file": str(token)}
    store = opened("s3://papers", {**options, "region": "x"}, 1.0)
    with pytest.raises(error, match="no request can be made with these options"), context(str):
        list(obstore.list(store))
