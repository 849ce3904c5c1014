"""Regex: extract, replace, match and drop."""

from __future__ import annotations

import re
from importlib import metadata
from typing import Any

import pytest

from pypes import Packet
from pypes.errors import InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes.testing.component import Result
from pypes_basic.patterns import Patterns
from pypes_basic.regex import Regex

from .packages import packages


def run(packets: list[Packet], *patterns: str, **params: Any) -> Result:
    return run_component(Regex, packets, patterns=list(patterns), **params)


def one(text: Any, *patterns: str, **params: Any) -> Packet:
    result = run([Packet({"text": text})], *patterns, **params)
    assert result.dead_letters == ()
    [packet] = result.packets
    assert isinstance(packet, Packet)
    return packet


class TestRegex(ComponentSuite):
    component = Regex
    params = {"patterns": ["a"]}

    def test_requirements_of_packages(self) -> None:
        """The name of each requirement, as the library that wrote them reads them."""
        given = packages()
        found = run(given, r"^(?P<needed>[A-Za-z0-9._-]+)", field="requires")
        for packet in found.packets:
            needed = [re.match(r"[\w.-]+", each).group() for each in packet.get("requires")]  # type: ignore[union-attr]
            assert packet.get("needed", []) == needed
        assert found.counts["extracted"] == sum(len(packet.get("requires")) for packet in given)

    def test_headers_of_packages(self) -> None:
        given = [packet for packet in packages() if packet.get("text")]
        found = run(given, r"(?m)^Version: (?P<stated>\S+)$", r"(?m)^Name: (?P<called>\S+)$", every=False)
        for packet in found.packets:
            assert (packet.get("stated"), packet.get("called")) == (packet.get("version"), packet.get("name"))

    def test_extract(self) -> None:
        text = "ä2024-05, 2025-06"
        assert one(text, r"(?P<y>\d{4})-(?P<m>\d\d)").get("y") == ["2024", "2025"]
        first = one(text, r"(?P<y>\d{4})-(?P<m>\d\d)", every=False)
        assert (first.get("y"), first.get("m"), first.is_multivalued("y")) == ("2024", "05", False)
        assert one(text, r"\d{4}").get("found") == ["2024", "2025"]
        assert one(text, r"(\d{4})-\d\d", target="year").get("year") == ["2024", "2025"]
        assert one(text, r"(?P<a>x)?ä(?P<b>2)", every=False).get_attribute_names() == ["b", "text"]
        assert not one(text, "z").has("found")
        assert one("A b", "B", ignore_case=True).get("found") == ["b"]

    def test_replace(self) -> None:
        def replaced(text: Any, *patterns: str, replacement: str = "", **params: Any) -> Any:
            return one(text, *patterns, replacement=replacement, do="replace", **params).get("text")

        assert replaced("ä 2024-05!", r"(\d+)-(?P<m>\d+)", replacement=r"\g<m>/\1 \\ ö \g<0>") == "ä 05/2024 \\ ö 2024-05!"
        assert replaced("abc", "b") == "ac"
        assert replaced("ab", "a", "b", replacement="b") == "bb"
        assert replaced("äß", "x*", replacement="-") == re.sub("x*", "-", "äß")
        assert replaced("a\ud800b", "b", replacement="c") == "a\ud800c"
        assert replaced(5, "5", replacement="6") == 5
        packet = Packet({"text": "no"})
        packet.set("text", ["aa", 1, "b"], multi=True)
        result = run([packet], "a", do="replace", replacement="ä")
        assert (result.packets[0].get("text"), result.counts) == (["ää", 1, "b"], {"replaced": 2})

    def test_match_and_drop(self) -> None:
        given = packages()
        apache = [packet.id for packet in given if re.search("Apache|BSD", packet.get("text"))]
        others = [packet.id for packet in given if packet.id not in apache]
        assert apache
        assert others
        for do, port, rest in (("match", "out", "unmatched"), ("drop", "unmatched", "out")):
            result = run([each.clone() for each in given], "Apache", "BSD", do=do)
            assert [packet.id for packet in result.outputs[port]] == apache
            assert [packet.id for packet in result.outputs[rest]] == others

    def test_a_deletion_passes(self) -> None:
        deletion = Packet({}, {"requestmethod": "DELETE", "id": "a"})
        for do in ("extract", "replace", "match", "drop"):
            assert run([deletion.clone()], "x", do=do).packets[0].is_deletion

    def test_a_pattern_that_takes_others_for_ever(self) -> None:
        assert one("a" * 100_000 + "b", "(a+)+$", r"^(([a-z])+.)+[A-Z]([a-z])+$").get_attribute_names() == ["text"]

    def test_thousands_of_patterns_find_the_same_as_each_alone(self) -> None:
        words = sorted({word for packet in packages() for word in re.findall(r"[A-Za-z]{6,}", packet.get("text"))})[:1000]
        assert len(words) > 500
        patterns = Patterns([rf"\b{word}\b" for word in words])
        for packet in packages()[:3]:
            data = packet.get("text").encode()
            expected = [at for at, word in enumerate(words) if re.search(rf"\b{word}\b".encode(), data)]
            assert patterns.found_in(data) == expected

    def test_too_many_matches_are_a_dead_letter(self) -> None:
        [letter] = run([Packet({"text": "aaa"})], "a", most=2).dead_letters
        assert (letter.code, letter.error) == (
            "regex.too_many",
            "pattern 1 is found more than 2 times in a value of field 'text' (most)",
        )

    @pytest.mark.parametrize(
        ("params", "fault"),
        [
            ({"patterns": ["a", "(b"]}, "patterns.1: (b: missing ): (b"),
            (
                {"patterns": ["(?=a)"]},
                "patterns.0: (?=a): invalid perl operator: (?=; RE2 has no look-around and no back-references",
            ),
            ({"patterns": [r"(a)\1"]}, "RE2 has no look-around"),
            (
                {"patterns": ["a"], "do": "replace", "replacement": r"\1"},
                "replacement: replacement refers to group 1, which is not in a",
            ),
            (
                {"patterns": ["(a)"], "do": "replace", "replacement": r"\g<x>"},
                "replacement refers to group x, which is not in (a)",
            ),
            ({"patterns": ["(a)"], "do": "replace", "replacement": r"\n"}, "is no reference"),
            ({"patterns": []}, "length"),
        ],
    )
    def test_bad_patterns_are_refused(self, params: dict[str, Any], fault: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            Regex().configure(params)
        problem = caught.value.problems[0]
        assert fault in f"{problem.path}: {problem.message}"

    def test_all_bad_patterns_are_told_with_their_places(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            Regex().configure({"patterns": ["(", "a", "["], "replacement": "\\x"})
        assert [problem.path for problem in caught.value.problems] == ["replacement", "patterns.0", "patterns.2"]

    def test_patterns_that_need_too_much_memory_together_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pypes_basic.patterns.ALL_BYTES", 10_000)
        with pytest.raises(InvalidInput) as caught:
            Regex().configure({"patterns": [f"a{{100}}{n}" for n in range(100)]})
        [problem] = caught.value.problems
        assert (problem.path, problem.message.partition(" together")[0]) == ("patterns", "all 100")


def test_the_library_is_the_one_of_google() -> None:
    """Another distribution has a module of the same name."""
    assert metadata.version("google-re2")
