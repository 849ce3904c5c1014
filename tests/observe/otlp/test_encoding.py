"""Encoding: messages in others, as protobuf reads them."""

from __future__ import annotations

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from pypes.observe.otlp.encoding import embedded


@pytest.mark.parametrize("chars", [0, 1, 120, 127, 128, 129, 16_380, 16_384, 70_000])
def test_messages_one_after_another_are_those_of_the_other_message(chars: int) -> None:
    spans = [Span(name="n" * chars), Span(name="next")]
    body = b"".join(embedded(ScopeSpans.SPANS_FIELD_NUMBER, span.SerializeToString()) for span in spans)
    assert list(ScopeSpans.FromString(body).spans) == spans
