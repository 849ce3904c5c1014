"""Secrets taken out of text, and what is left alone."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pypes.core.secrets import Secrets, holds_mask, masked, variables_in, without_users
from pypes.errors import ComponentError, Problem


def secrets(**environ: str) -> Secrets:
    return Secrets.of([{"x": f"${{{name}}}"} for name in environ], environ)


class TestRedaction:
    @pytest.mark.parametrize(
        "text",
        [
            "Bearer s3cr/t &key",
            "https://host/?key=s3cr%2Ft%20%26key",
            "https://host/?key=s3cr/t%20%26key",
            "key=s3cr%2Ft+%26key",
            'the answer was "s3cr/t &key"',
            "Authorization: Basic czNjci90ICZrZXk=",
            "x" * 50 + "s3cr/t &key" + "x" * 50,
        ],
    )
    def test_in_every_form(self, text: str) -> None:
        redacted = secrets(KEY="s3cr/t &key").redact(text)
        assert "${KEY}" in redacted
        assert "s3cr" not in redacted
        assert "czNj" not in redacted

    @pytest.mark.parametrize(
        "text",
        [
            f"Basic {base64.b64encode(b'me:S3cr3t-key/1').decode()}",
            f"Basic {base64.b64encode(b'john:S3cr3t-key/1').decode()}",
            f"Basic {base64.urlsafe_b64encode(b'ada:S3cr3t-key/1').decode()}",
            b"S3cr3t-key/1".hex(),
            "getaddrinfo failed for s3cr3t-key/1",
            "S3CR3T-KEY%2f1",
        ],
    )
    def test_within_other_codes(self, text: str) -> None:
        redacted = secrets(KEY="S3cr3t-key/1").redact(text)
        assert "${KEY}" in redacted
        assert len(redacted.replace("${KEY}", "").replace("Basic ", "").replace("getaddrinfo failed for ", "")) <= 10

    def test_one_that_is_added_in_every_form(self) -> None:
        known = Secrets()
        known.add("s3cr/t &key")
        assert "s3cr" not in known.redact("s3cr/t &key s3cr%2Ft%20%26key")

    def test_variables_by_their_names(self) -> None:
        assert variables_in({"a": ["${A} $${B}", {"${C}": 1}], "d": "$D"}) == {"A", "C"}
        known = Secrets()
        known.learn_variables(["A", "GONE"], {"A": "s3cret-key"})
        assert known.redact("s3cret-key") == "${A}"

    def test_with_quotes_and_line_breaks(self) -> None:
        value = "first line\"\nsecond 'line'\n"
        known = secrets(KEY=value)
        for text in (value, json.dumps({"a": value}), repr(value), "token: second 'line'."):
            assert "line" not in known.redact(text).replace("${KEY}", "")

    def test_short_values_are_found_by_themselves_only(self) -> None:
        known = secrets(A="1", B="prod", C="eightchr")
        assert known.redact("1 prod reproduces prod2 eprod x=prod&y %3Aprod%40 eightchrs") == (
            "1 ${B} reproduces prod2 eprod x=${B}&y %3A${B}%40 ${C}s"
        )

    def test_what_everybody_says_is_no_secret(self) -> None:
        assert secrets(A="true", B="localhost", C="NONE").redact("true localhost NONE") == "true localhost NONE"

    def test_forms_of_what_is_not_looked_for_are_left_too(self) -> None:
        known = secrets(A="1", B=",", C='"', D="\u65e5\u672c", E="true", F="::")
        text = 'MQ== %252C &quot; "\\u65e5\\u672c" dHJ1ZQ== http://h/%E6%97%A5%E6%9C%AC/%253A%253A'
        assert known.redact(text) == text
        assert known.clean_meta({"url": text}) == {"url": text}

    def test_the_longest_is_taken_first(self) -> None:
        assert secrets(A="password", B="password-of-mine").redact("password-of-mine password") == "${B} ${A}"

    def test_the_password_in_an_address(self) -> None:
        known = secrets(DB="postgres://me:p%40ss-word@db/x")
        for text in ("postgres://me:p%40ss-word@db/x", "for user me: p@ss-word", "p%40ss-word"):
            assert "ss-word" not in known.redact(text)
        known = Secrets.of([{"url": "http://me:written-down@host/"}], {})
        assert known.redact("authentication with written-down failed") == "authentication with *** failed"

    def test_names_that_are_escaped_or_not_set(self) -> None:
        assert Secrets.of(["$${A} ${B}"], {"A": "not referred to"}).redact("not referred to") == "not referred to"

    def test_values_within_values(self) -> None:
        known = secrets(KEY="s3cret-key")
        assert known.redacted({"s3cret-key": ["s3cret-key", 1, None, ("s3cret-key",)]}) == {
            "${KEY}": ["${KEY}", 1, None, ["${KEY}"]]
        }
        endless: list[Any] = ["s3cret-key"]
        endless += [endless, endless]
        assert known.redacted(endless)[0] == "${KEY}"

    def test_errors_that_pass(self) -> None:
        known = secrets(KEY="s3cret-key")
        with pytest.raises(ComponentError) as passed, known.kept():
            raise ComponentError("s3cret-key", where="a", problems=[Problem("b", "s3cret-key", "c")])
        assert str(passed.value) == "a: ${KEY}\n  b: ${KEY}"
        assert passed.value.args == ("${KEY}",)


class TestMetadata:
    def test_what_identifies_a_document_and_short_words_stay(self) -> None:
        known = secrets(A="prod", B="reports-2026")
        meta = {
            "id": "reports-2026/1",
            "filename": "reports-2026.csv",
            "charset_declared": "reports-2026",
            "env": "prod",
            "url": "http://h/reports-2026",
            "n": 1,
        }
        assert known.clean_meta(meta) == {**meta, "url": "http://h/${B}"}

    def test_users_of_addresses(self) -> None:
        assert Secrets().clean_meta({"from": "see http://a:b@c/d"}) == {"from": "see http://***@c/d"}


class TestUsers:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("http://a:b@c/d@e", "http://***@c/d@e"),
            ("http://a:p@ss@c", "http://***@c"),
            ("redis://:pw@host:1/0, amqp://token@host", "redis://***@host:1/0, amqp://***@host"),
            ("http://host/?mail=a@b", "http://host/?mail=a@b"),
            ("http://host/@name", "http://host/@name"),
            ("mail a@b about http://host", "mail a@b about http://host"),
            ("http://host or a@b", "http://host or a@b"),
        ],
    )
    def test_they_are_hidden_and_nothing_else(self, text: str, shown: str) -> None:
        assert without_users(text) == shown

    def test_what_was_hidden_is_seen(self) -> None:
        value = {"url": "http://a:b@c", "n": [1, "x"]}
        assert masked(value) == {"url": "http://***@c", "n": [1, "x"]}
        assert holds_mask(masked(value)["url"])
        assert not holds_mask(value["url"])  # type: ignore[arg-type]

    @pytest.mark.parametrize("piece", ["://", "://a", "a://b@", "x"])
    def test_long_texts_take_time_in_proportion(self, piece: str) -> None:
        # quadratic, it would take hours
        assert without_users(piece * 1_000_000 + " ://@")
