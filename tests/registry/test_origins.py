"""Where a distribution came from, as pip notes it down."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.registry.origins import direct_origin


@pytest.mark.parametrize(
    ("recorded", "line"),
    [
        ('{"dir_info": {"editable": true}, "url": "file:///srv/my%20pypes"}', "-e file:///srv/my%20pypes"),
        ('{"dir_info": {}, "url": "file:///srv/pypes"}', "file:///srv/pypes"),
        (
            '{"archive_info": {}, "url": "file:///srv/thing-1-py3-none-any.whl"}',
            "file:///srv/thing-1-py3-none-any.whl",
        ),
        ('{"archive_info": {}, "url": "https://example.org/thing-1-py3-none-any.whl"}', None),
        (None, None),
    ],
    ids=["editable", "folder", "wheel", "address", "index"],
)
def test_what_pip_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: str | None, line: str | None) -> None:
    installed = tmp_path / "thing_of_tests-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: thing-of-tests\nVersion: 1\n")
    if recorded is not None:
        (installed / "direct_url.json").write_text(recorded)
    monkeypatch.syspath_prepend(tmp_path)
    assert direct_origin("thing-of-tests") == line


def test_what_is_not_installed_came_from_nowhere() -> None:
    assert direct_origin("thing-that-nobody-has") is None
