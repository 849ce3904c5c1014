"""What an exception is taken for: the natural uses mean what they say, and the odd ones do no harm."""

from __future__ import annotations

import math
import pickle
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

import pytest

from pypes.core.raised import RETRY_LONGEST_S, Raised
from pypes.core.secrets import Secrets
from pypes.core.shown import REASON_CHARS, TRACE_CHARS, bounded, shown, trace_of
from pypes.errors import BadId, Reject, Retry, Unreachable


class Code(StrEnum):
    NO_PRICE = "price.missing"


class Bare(Retry):
    def __init__(self) -> None:
        pass


class NoText(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


RETRIES: list[tuple[Retry, float, str]] = [
    (Retry(), 0.0, "retry requested"),
    (Retry(5), 5.0, "retry requested"),
    (Retry(5, "why"), 5.0, "why"),
    (Retry(delay_s=0.5, reason="why"), 0.5, "why"),
    (Retry("why"), 0.0, "why"),
    (Retry("why", 5), 5.0, "why"),
    (Retry(reason="why"), 0.0, "why"),
    (Retry(ValueError("down")), 0.0, "ValueError: down"),
    (Retry(5, ValueError("down")), 5.0, "ValueError: down"),
    (Retry({"status": 503}), 0.0, "{'status': 503}"),
    (Retry(timedelta(minutes=1), "why"), 60.0, "why"),
    (Retry(Decimal("0.5")), 0.5, "retry requested"),
    (Retry(Fraction(1, 2)), 0.5, "retry requested"),
    (Retry(None), 0.0, "retry requested"),
    (Retry(None, None), 0.0, "retry requested"),
    (Retry(math.nan, "why"), 0.0, "why"),
    (Retry(-3), 0.0, "retry requested"),
    (Retry(-math.inf), 0.0, "retry requested"),
    (Retry(math.inf), RETRY_LONGEST_S, "retry requested"),
    (Retry(10**400), RETRY_LONGEST_S, "retry requested"),
    (Retry(-(10**400)), 0.0, "retry requested"),
    (Retry(timedelta.max), RETRY_LONGEST_S, "retry requested"),
    (Retry(1, 7), 1.0, "7"),
    (Retry("\ud800"), 0.0, "\\ud800"),
    (Bare(), 0.0, "retry requested"),
]


@pytest.mark.parametrize(("error", "delay_s", "reason"), RETRIES, ids=[repr(case[0]) for case in RETRIES])
def test_retries(error: Retry, delay_s: float, reason: str) -> None:
    assert Raised.of(error) == ("Retry", "retry.exhausted", reason, delay_s)
    if not isinstance(error, Bare):
        assert Raised.of(pickle.loads(pickle.dumps(error))) == Raised.of(error)
        unreachable = Unreachable(error.delay_s, error.reason)
        assert Raised.of(unreachable) == ("Unreachable", "retry.exhausted", reason, delay_s)


def test_attributes_that_were_set_afterwards_are_looked_at_as_well() -> None:
    error: Any = Retry(1, "why")
    error.delay_s, error.reason = "soon", 7
    assert Raised.of(error) == ("Retry", "retry.exhausted", "7", 0.0)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (Reject("no price"), "rejected", "no price"),
        (Reject("no price", "price.missing"), "price.missing", "no price"),
        (Reject("no price", Code.NO_PRICE), "price.missing", "no price"),
        (Reject(ValueError("no price")), "rejected", "ValueError: no price"),
        (Reject("no price", 404), "404", "no price"),  # type: ignore[arg-type]
        (Reject("no price", None), "rejected", "no price"),  # type: ignore[arg-type]
        (Reject("no price", ""), "rejected", "no price"),
        (Reject("no price", "a\ud800"), "a\\ud800", "no price"),
        (Reject("no price", "two words"), "rejected", "no price"),
        (Reject("no price", "x" * 101), "rejected", "no price"),
        (Reject({"why": "no price"}), "rejected", "{'why': 'no price'}"),
        (Reject(), "rejected", "rejected without a reason"),
        (Reject(None), "rejected", "rejected without a reason"),
        (Reject(NoText()), "rejected", "<NoText, and KeyboardInterrupt in its text>"),
    ],
)
def test_rejections(error: Reject, code: str, reason: str) -> None:
    assert Raised.of(error) == ("Reject", code, reason, None)


def test_an_id_that_cannot_be_one_has_its_own_code() -> None:
    assert Raised.of(BadId("too long")) == ("", "document.id", "too long", None)


def test_without_a_reason_it_is_what_it_was_raised_from() -> None:
    for cls in (Retry, Reject):
        with pytest.raises(cls) as caught:
            raise cls from OSError("gone")
        assert Raised.of(caught.value).reason == "OSError: gone"


def test_texts_are_bounded_and_can_be_encoded() -> None:
    error = ValueError("a" * 10**6 + "\ud800" * 10**6)
    for text, most in ((shown(error), REASON_CHARS), (trace_of(error), TRACE_CHARS)):
        # a surrogate is escaped in six characters
        assert most < len(text) <= 6 * most
        assert "characters" in text
        text.encode()
    assert shown(error).startswith("ValueError: aaa")


@pytest.mark.parametrize("size", [150, 250, 100_000])
def test_a_secret_at_the_cut_is_taken_out_whole(size: int) -> None:
    clean = Secrets({"s3cr3t-p4ss": "${TOKEN}"}).redact
    for at in range(30, 70):
        for text in ("x" * at + "s3cr3t-p4ss" + "x" * size, "x" * size + "s3cr3t-p4ss" + "x" * at):
            found = bounded(text, 100, clean)
            assert not any(part in found for part in ("s3", "r3t", "p4", "ss")), found
    assert len(bounded("x" * size, 100, clean)) < 140


def test_exceptions_are_read_without_secrets() -> None:
    secret = "s3cr3t-p4ss"
    clean = Secrets({secret: "${TOKEN}"}).redact
    filler = "x" * (REASON_CHARS // 2 - 18)
    for error in (ValueError(filler + secret + filler), Reject(filler + secret + filler), Retry(0, filler + secret + filler)):
        reason = Raised.of(error, clean).reason
        assert "${TOKEN}" in reason
        assert "s3c" not in reason
        assert "s3c" not in trace_of(ValueError("x" * (TRACE_CHARS // 2 - 20) + secret + "x" * TRACE_CHARS), clean)


def test_a_code_is_kept_without_secrets() -> None:
    clean = Secrets({"s3cr3t-p4ss": "${TOKEN}"}).redact
    assert Raised.of(Reject("why", "s3cr3t-p4ss"), clean).code == "rejected"
    assert Raised.of(Reject("why", "price.missing"), clean).code == "price.missing"


def test_what_has_no_text_is_told_by_its_class() -> None:
    with pytest.raises(NoText) as caught:
        raise NoText
    assert shown(caught.value) == "<NoText, and KeyboardInterrupt in its text>"
    assert "NoText" in trace_of(caught.value)
