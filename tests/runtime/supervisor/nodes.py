"""What tests of a whole node do with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

Start = Callable[..., Any]
Until = Callable[..., Any]


def deployed(tmp_path: Path, a_graph: Callable[..., dict[str, Any]], **params: Any) -> None:
    (tmp_path / "graphs").mkdir(exist_ok=True)
    (tmp_path / "graphs" / "g.json").write_text(json.dumps(a_graph(**params)))


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def posted(url: str) -> str:
    """The receipt of a document."""
    answer = urllib3.request("POST", f"{url}/docs", body=b"{}", headers={"Content-Type": "application/json"}, retries=False)
    return str(answer.json()["receipt"])


def status_of(url: str) -> int:
    return urllib3.request("GET", f"{url}/readyz", retries=False, timeout=5.0).status
