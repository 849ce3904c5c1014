"""S3Objects keeps whole documents as every publisher of them does, on a server with the protocol of S3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pypes.testing import PublisherSuite
from pypes.testing.stage import Stage
from pypes_stores.s3_objects import S3Objects
from tests.needed import library

from .apart import ApartStage, check_nothing_has_begun
from .s3_bucket import KEYS, Bucket

library("obstore", "pypes-stores[s3]")

pytestmark = pytest.mark.servers


class TestS3Objects(PublisherSuite):
    component = S3Objects
    counts_removed = False
    server: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _server(self, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
        check_nothing_has_begun()
        monkeypatch.setattr(type(self), "server", s3, raising=False)

    def parameters(self, folder: Path) -> Mapping[str, Any]:
        return {"url": bucket(self.server, folder).url, "options": {**KEYS, "endpoint": self.server}}

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        return bucket(self.server, folder).seen()

    def stage(self, folder: Path) -> Stage:
        folder.mkdir(parents=True, exist_ok=True)
        return ApartStage(lambda: self._make(folder), lambda: self.seen(folder), self.fields, shows_both=self.shows_both)


def bucket(server: str, folder: Path) -> Bucket:
    return Bucket(server, str(folder))
