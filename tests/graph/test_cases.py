"""Tests that graphs carry: read with every mistake named, and held against what happened."""

from __future__ import annotations

from typing import Any

from pypes.core.media_types import PACKETS
from pypes.graph.cases import Case, Difference, Expectation, Post, compare, read_cases, read_post

TEST: dict[str, Any] = {
    "name": "t",
    "post": {"content_type": "application/json", "body": {"title": "A"}, "route": "news"},
    "expect": [{"node": "out", "packets": 1, "fields": {"title": "a"}, "patterns": {"text": "^x+$"}}],
    "dropped": 0,
    "failed": [{"filter": "html"}],
}


def test_a_test_is_read() -> None:
    cases, problems = read_cases([TEST], ["out"])
    assert problems == []
    assert cases == [
        Case(
            "t",
            (Post("application/json", b'{"title": "A"}', route="news"),),
            (Expectation("out", 1, {"title": "a"}, None, False, {"text": "^x+$"}),),
            0,
            ({"filter": "html"},),
        )
    ]


def test_bodies() -> None:
    posts = [
        {"body": "text", "content_type": "text/plain"},
        {"body": {"base64": "AP8="}, "content_type": "image/png"},
        {"body": [{"n": 1}, {"n": 2}], "content_type": "application/x-ndjson"},
        {"body": [{"n": 1}]},
    ]
    [case], _ = read_cases([{"post": posts}], [])
    assert [post.body for post in case.posts] == [b"text", b"\x00\xff", b'{"n": 1}\n{"n": 2}\n', b'[{"n": 1}]']


def test_everything_wrong_is_named() -> None:
    bad = {
        "post": [{"body": {"base64": "?"}}, 3, {"id": 5}],
        "expect": [{"node": "nowhere"}, {"node": "out", "packets": -1, "patterns": {"a": "("}, "colour": 1}, 7],
        "dropped": "one",
        "failed": {},
        "extra": 1,
    }
    cases, problems = read_cases([bad, {"post": {}}], ["out"])
    assert [case.name for case in cases] == ["test 2"]
    assert {problem.path for problem in problems} == {
        "tests.0.extra",
        "tests.0.post.0.body",
        "tests.0.post.1",
        "tests.0.post.2.id",
        "tests.0.expect.0.node",
        "tests.0.expect.1.packets",
        "tests.0.expect.1.patterns.a",
        "tests.0.expect.1.colour",
        "tests.0.expect.2",
        "tests.0.dropped",
        "tests.0.failed",
    }


def case(**changes: Any) -> Case:
    [read], problems = read_cases([{"post": {}, **changes}], ["out"])
    assert not problems
    return read


A, B = {"fields": {"t": "a", "n": 1}, "meta": {"m": 1}}, {"fields": {"t": "b"}, "meta": {}}


def test_what_is_as_expected_makes_no_difference() -> None:
    wanted = case(
        expect=[
            {"node": "out", "packets": 2, "fields": {"t": "b"}, "exact": True},
            {"node": "out", "fields": {"t": "a"}, "meta": {"m": 1}, "patterns": {"n": "^1$"}},
        ],
        dropped=1,
        failed=[{"code": "rejected"}],
    )
    assert compare(wanted, {"out": [A, B]}, 1, [{"filter": "x", "code": "rejected", "error": "no"}]) == []


def test_differences_say_what_was_there_instead() -> None:
    wanted = case(expect=[{"node": "out", "packets": 1, "fields": {"t": "c", "n": 1}}], dropped=0)
    assert compare(wanted, {"out": [A, B]}, 1, [{"filter": "x", "code": "c", "error": "e", "more": 1}]) == [
        Difference("packets at out", 1, 2, "out"),
        Difference("a packet at out", {"fields": {"t": "c", "n": 1}}, {"fields": {"n": 1, "t": "a"}}, "out"),
        Difference("documents dropped", 0, 1),
        Difference("dead letters", "none more", {"filter": "x", "code": "c", "error": "e"}, "x"),
    ]
    assert compare(wanted, {}, 0, []) == [
        Difference("packets at out", 1, 0, "out"),
        Difference("a packet at out", {"fields": {"t": "c", "n": 1}}, None, "out"),
    ]


def test_one_packet_meets_one_expectation() -> None:
    twice = case(expect=[{"node": "out", "fields": {"t": "a"}}, {"node": "out", "fields": {"n": 1}}])
    assert [d.what for d in compare(twice, {"out": [A]}, 0, [])] == ["a packet at out"]
    assert compare(twice, {"out": [A, dict(A)]}, 0, []) == []


def test_differences_are_sentences_about_a_filter() -> None:
    wanted = case(
        expect=[{"node": "out", "packets": 1, "fields": {"t": "c"}}], dropped=0, failed=[{"filter": "html", "code": "rejected"}]
    )
    found = compare(wanted, {"out": [A, B]}, 2, [{"filter": "", "code": "c", "error": "e"}])
    assert [(difference.filter, difference.text) for difference in found] == [
        ("out", "2 packets arrive at out, where 1 should"),
        ("out", 'no packet at out has {"fields": {"t": "c"}}; the one that is most like it has {"fields": {"t": "a"}}'),
        ("", "2 documents are dropped, where 0 should be"),
        ("html", 'nothing fails as it should: {"filter": "html", "code": "rejected"}'),
        ("", "the body fails, and should not: e [c]"),
    ]
    [_, absent, *_] = compare(wanted, {}, 0, [])
    assert absent.text == 'no packet at out has {"fields": {"t": "c"}}; none is left that could'


def test_a_post_may_enter_at_a_filter_with_a_whole_packet() -> None:
    packet = {"fields": {"n": 1}, "meta": {"id": "a"}}
    assert read_post({"packet": packet, "at": "out.left"}, ["out"]) == (
        Post(PACKETS, b'{"fields": {"n": 1}, "meta": {"id": "a"}}', at="out.left"),
        [],
    )
    assert read_post({"body": "x", "content_type": "text/plain", "at": "out"}, ["out"])[0] == Post("text/plain", b"x", at="out")
    wrong = [
        ({"packet": 1, "at": "out"}, "packet"),
        ({"packet": packet}, "at"),
        ({"packet": packet, "at": "in"}, "at"),
        ({"packet": packet, "at": "out", "id": "b"}, "id"),
        ({"body": "x", "at": "in.left"}, "at"),
        ({"body": "x", "at": 1}, "at"),
        ({"colour": 1}, "colour"),
    ]
    assert [[problem.path for problem in read_post(post, ["out"])[1]] for post, _ in wrong] == [[path] for _, path in wrong]
