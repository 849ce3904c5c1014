"""The binary forms of documents, by the codec of their media types."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pypes.ingest.codecs.msgpack import MSGPACK
from pypes.ingest.codecs.protobuf import PROTOBUF
from pypes.ingest.codecs.records import Form

FORMS: Final[Mapping[str, Form]] = MappingProxyType({"msgpack": MSGPACK, "protobuf": PROTOBUF})
