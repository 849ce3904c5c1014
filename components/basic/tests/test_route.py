"""Route: rules, outputs, and what cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from pypes import Packet
from pypes.errors import InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes_basic.route import MOST_RULES, Route

from .packages import packages
from .unwired import run_unwired


def ways(packets: list[Packet], *rules: str, **params: Any) -> dict[str, list[Any]]:
    result = run_component(Route, packets, rules=list(rules), **params)
    assert result.dead_letters == ()
    return {port: [packet.get("n") for packet in found] for port, found in result.outputs.items() if found}


class TestRoute(ComponentSuite):
    component = Route
    params = {"rules": ["n > 1"]}

    def test_packages_go_by_what_they_say_of_themselves(self) -> None:
        given = packages()
        rules = ["'Apache' in text", "requires|length > 3 and not name.startswith('pypes')", "meta.id == 'pip'"]
        result = run_component(Route, given, rules=rules)
        expected: dict[str, list[str]] = {}
        for packet in given:
            name, text, requires = packet.get("name"), packet.get("text"), packet.get("requires")
            port = (
                "out1"
                if "Apache" in text
                else "out2"
                if len(requires) > 3 and not name.startswith("pypes")
                else "out3"
                if name == "pip"
                else "else"
            )
            expected.setdefault(port, []).append(name)
        assert {port: [packet.id for packet in found] for port, found in result.outputs.items() if found} == expected
        assert {"out1", "else"} <= expected.keys()

    @pytest.mark.parametrize(
        ("rule", "fields", "meta", "holds"),
        [
            ("n == 1", {}, {}, True),
            ("n == '1'", {}, {}, False),
            ("absent == 1 or absent > 3 or 'a' in absent or absent.deeper.still", {}, {}, False),
            ("absent != 1", {}, {}, True),
            ("absent is not defined and n is defined", {}, {}, True),
            ("'b' in tags and tags|length == 2", {"tags": ["a", "b"]}, {}, True),
            ("fields['page no'] >= 7", {"page no": 7}, {}, True),
            ("meta.mimetype == 'text/html'", {}, {"mimetype": "text/html"}, True),
            ("fields.meta == 'm' and meta.x == 1", {"meta": "m"}, {"x": 1}, True),
            ("deep.er[0].x == 2", {"deep": {"er": [{"x": 2}]}}, {}, True),
            ("'loan' in text|lower", {"text": "A LOAN"}, {}, True),
            ("text.startswith('ä')", {"text": "äöü"}, {}, True),
            ("data|length == 3", {"data": b"abc"}, {}, True),
            ('text == "}}{% endif %}"', {"text": "}}{% endif %}"}, {}, True),
            ("not n # no comment of any kind", {}, {}, None),
            ("n %}1{% if true", {}, {}, None),
        ],
    )
    def test_rules(self, rule: str, fields: dict[str, Any], meta: dict[str, Any], holds: bool | None) -> None:
        packet = Packet.from_document({"n": 1, **fields}, meta)
        if holds is None:
            with pytest.raises(InvalidInput, match=r"rules\.0"):
                ways([packet], rule)
        else:
            assert ways([packet], rule) == {"out1" if holds else "else": [1]}

    def test_the_first_rule_that_holds_takes_a_packet_or_all_do(self) -> None:
        given = [Packet({"n": n}) for n in range(4)]
        assert ways(given, "n > 2", "n > 0") == {"out1": [3], "out2": [1, 2], "else": [0]}
        assert ways(given, "n > 2", "n > 0", match="all") == {"out1": [3], "out2": [1, 2, 3], "else": [0]}

    def test_each_output_gets_a_packet_of_its_own(self) -> None:
        result = run_component(Route, [Packet({"n": 1})], rules=["n", "n", "n"], match="all")
        result.outputs["out1"][0].set("n", 2)
        result.outputs["out2"][0].set("n", 3)
        assert [result.outputs[f"out{i}"][0].get("n") for i in (1, 2, 3)] == [2, 3, 1]

    def test_a_deletion_goes_everywhere(self) -> None:
        deletion = Packet({}, {"requestmethod": "DELETE", "id": "a"})
        result = run_component(Route, [deletion], rules=["n == 1", "true"])
        assert [port for port, found in sorted(result.outputs.items()) if found] == ["else", "out1", "out2"]
        assert all(found[0].is_deletion for found in result.outputs.values() if found)

    def test_what_cannot_be_told_is_a_dead_letter_that_names_the_rule(self) -> None:
        result = run_component(Route, [Packet({"n": "x"}), Packet({"n": 5})], rules=["false", "n + 1 > 3"])
        assert [packet.get("n") for packet in result.outputs["out2"]] == [5]
        [letter] = result.dead_letters
        assert (letter.code, letter.error.partition(":")[0]) == ("route.rule", "rule 2, n + 1 > 3")

    def test_a_packet_for_an_output_without_a_wire_is_counted(self) -> None:
        counts, _ = run_unwired(Route, [Packet({"n": n}) for n in range(4)], "out1", rules=["n == 1", "n == 2"])
        assert counts == {"dropped": 3}

    @pytest.mark.parametrize(
        ("rules", "fault"),
        [
            (["n ==", "true"], "rules.0: n ==: unexpected end of input, expected expression"),
            (["true", "n|nosuchfilter"], "rules.1: n|nosuchfilter: filter nosuchfilter is unknown"),
            (["n is odder"], "rules.0: n is odder: test odder is unknown"),
            (["nofunction()"], "rules.0: nofunction(): nofunction is unknown"),
            ([""], "length"),
            (["true"] * (MOST_RULES + 1), "length"),
        ],
    )
    def test_bad_rules_are_refused(self, rules: list[str], fault: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            Route().configure({"rules": rules})
        problem = caught.value.problems[0]
        assert fault in f"{problem.path}: {problem.message}"
