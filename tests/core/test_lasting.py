from __future__ import annotations

import gc

import pytest

from pypes.core.lasting import lasting


def test_nothing_is_collected_meanwhile_and_what_was_made_is_not_looked_at_again() -> None:
    before = gc.get_freeze_count()
    with lasting():
        assert not gc.isenabled()
        made = [[n] for n in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(made)
    assert not any(each is made for each in gc.get_objects())


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), lasting():
        raise ImportError("it is missing")
    assert gc.isenabled()
