"""Comparisons count exactly what differs."""

from __future__ import annotations

from typing import Any

from pypes.core.secrets import Secrets
from pypes.observe.hiding import HIDDEN, Hiding
from pypes.runtime.trials.comparison import MAX_EXAMPLES, SHOWN_CHARS, Comparison
from pypes.runtime.trials.trial import Passage


def packet(**fields: Any) -> dict[str, Any]:
    return {"fields": fields, "meta": {"receipt": "r"}}


def passage(*packets: dict[str, Any], fate: str = "published", code: str = "") -> Passage:
    failures = [{"filter": "f", "code": code, "error": "no", "traceback": "…"}] if code else []
    return Passage({"out": list(packets)}, fate, failures)


def compare(live: Passage, candidate: Passage) -> dict[str, Any]:
    comparison = Comparison(Hiding())
    comparison.add("r", 0, live, candidate)
    return comparison.to_obj()


def test_what_is_equal_differs_in_nothing() -> None:
    found = compare(passage(packet(a=1), packet(a=2)), passage(packet(a=2), packet(a=1)))
    assert found == {"documents": 1, "different": 0, "publishers": {}, "fates": [], "examples": []}


def test_fields_that_changed_are_named() -> None:
    found = compare(passage(packet(a=1, b=2, same=0)), passage(packet(a=1.5, c=None, same=0)))
    assert found["publishers"]["out"] == {"missing": 0, "added": 0, "changed": 1, "fields": {"a": 1, "b": 1, "c": 1}}
    assert found["examples"] == [
        {
            "receipt": "r",
            "document": 0,
            "what": "changed",
            "publisher": "out",
            "fields": {"a": [1, 1.5], "b": [2, None], "c": [None, None]},
        }
    ]


def test_metadata_counts() -> None:
    found = compare(passage(packet(a=1)), passage({**packet(a=1), "meta": {"receipt": "r", "lang": "en"}}))
    assert found["publishers"]["out"]["fields"] == {"meta.lang": 1}


def test_packets_that_only_one_version_gave() -> None:
    found = compare(passage(packet(a=1), packet(a=2)), passage(packet(a=2)))
    assert found["publishers"]["out"] == {"missing": 1, "added": 0, "changed": 0, "fields": {}}
    assert found["examples"][0]["packet"] == {"fields": {"a": 1}}
    found = compare(passage(), Passage({"new": [packet(a=1)]}, "published", []))
    assert found["publishers"] == {"new": {"missing": 0, "added": 1, "changed": 0, "fields": {}}}


def test_fates() -> None:
    found = compare(passage(packet(a=1)), passage(fate="failed", code="rejected"))
    assert found["fates"] == [{"live": "published", "candidate": "failed in f (rejected)", "documents": 1}]
    assert found["publishers"]["out"]["missing"] == 1
    assert found["different"] == 1


def test_examples_are_bounded() -> None:
    comparison = Comparison(Hiding())
    for number in range(MAX_EXAMPLES * 2):
        comparison.add("r", number, passage(packet(a="x" * 1000)), passage(fate="dropped"))
    found = comparison.to_obj()
    assert found["different"] == MAX_EXAMPLES * 2
    assert len(found["examples"]) == MAX_EXAMPLES
    assert len(found["examples"][1]["packet"]["fields"]["a"]) < SHOWN_CHARS + 50


def test_examples_are_shown_without_secrets_before_they_are_cut() -> None:
    comparison = Comparison(Hiding(secrets=Secrets({"s3cr3t-p4ss": "${TOKEN}"})))
    text = "x" * (SHOWN_CHARS - 5) + "s3cr3t-p4ss"
    comparison.add("r", 0, passage(packet(a=text)), passage(packet(a="other")))
    comparison.add("r", 1, passage(packet(a=text)), passage())
    assert [difference["what"] for difference in comparison.to_obj()["examples"]] == ["changed", "missing"]
    assert "s3c" not in str(comparison.to_obj())


def test_examples_are_shown_without_what_is_hidden_by_name_and_differences_are_counted_all_the_same() -> None:
    comparison = Comparison(Hiding(["password"]))
    user = {"name": "ada", "password": "geheim-1"}
    comparison.add("r", 0, passage(packet(password="geheim-1", n=1)), passage(packet(password="geheim-2", n=2)))
    comparison.add("r", 1, passage(packet(user=user, password="geheim-1")), passage())
    comparison.add("r", 2, passage({"fields": {}, "meta": {"password": "geheim-1"}}), passage({"fields": {}, "meta": {}}))
    changed, fate, meta = comparison.to_obj()["examples"]
    assert changed["fields"] == {"n": [1, 2], "password": [HIDDEN, HIDDEN]}
    assert fate["packet"] == {"fields": {"user": {"name": "ada", "password": HIDDEN}, "password": HIDDEN}}
    assert list(meta["fields"]) == ["meta.password"]
    assert "geheim" not in str(comparison.to_obj())
