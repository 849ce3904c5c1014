"""EmbedRemote against a real server: batches, faults of server and texts, the cache, the budget."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pypes import Packet, Pipeline
from pypes.component import Component
from pypes.component.store import MemoryStore, MemoryStores, Store
from pypes.core.secrets import Secrets
from pypes.core.trace_context import TraceContext
from pypes.runtime.scheduler import Feed
from pypes.runtime.scheduler.carrying import Carried
from pypes.testing import run_component
from pypes.testing.component import Result
from pypes_basic.unchanged import Unchanged
from pypes_text.chunk import Chunk
from pypes_text.embed_remote import EmbedRemote
from tests.runtime.scheduler.graphs import running

from .embeddings import Embeddings, Fault, status, vector_of
from .prose import Prose


@pytest.fixture
def server() -> Iterator[Embeddings]:
    made = Embeddings()
    yield made
    made.close()


def embed(server: Embeddings, *texts: Any, **params: Any) -> Result:
    packets = [Packet({"text": text}, {"id": str(n)}) for n, text in enumerate(texts)]
    return run_component(EmbedRemote, packets, url=server.url, model="small", **params)


def made(server: Embeddings, **params: Any) -> EmbedRemote:
    component = EmbedRemote()
    component.configure({"url": server.url, "model": "small", **params})
    return component


def codes(result: Result) -> dict[int, str]:
    return {letter.documents[0]: letter.code for letter in result.dead_letters}


# -- what comes of it -------------------------------------------------------------------------------------------


def test_vectors_come_to_their_texts_in_few_calls(server: Embeddings) -> None:
    texts = [f"text number {n}" for n in range(150)]
    result = embed(server, *texts)
    assert [packet["text"] for packet in result.packets] == texts
    for packet in result.packets:
        assert packet["vector"] == vector_of(packet["text"], 8)
        assert not packet.is_multivalued("vector")
        assert (packet.get_meta("model", "vector"), packet.get_meta("dims", "vector")) == ("small", 8)
    assert [len(call) for call in server.calls] == [64, 64, 22]
    assert server.asked[0].keys() == {"model", "input"}


def test_equal_texts_are_asked_for_once_and_deletions_pass(server: Embeddings) -> None:
    deletion = Packet({}, {"id": "1", "requestmethod": "DELETE"})
    packets = [Packet({"text": "one"}), deletion, Packet({"text": "one"})]
    result = run_component(EmbedRemote, packets, url=server.url, model="small")
    assert len(result.packets) == 3
    assert server.calls == [["one"]]


def test_calls_belong_to_the_trace_of_their_document_and_to_none_otherwise(server: Embeddings) -> None:
    context = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    with running({"embed": made(server)}, []) as scheduler:
        scheduler.core.carried["r"] = Carried("r", context)
        for receipt in ("other", "r", "other"):
            packet = Packet.from_document({"text": f"text {len(server.calls)}"}, {"receipt": receipt})
            scheduler.submit(Feed(iter([("embed", [packet], range(1))]), 1))
            scheduler.drain()
    assert server.parents == [None, context.traceparent, None]


def test_calls_are_bounded_by_tokens(server: Embeddings) -> None:
    embed(server, *("x" * 400 + str(n) for n in range(10)), tokens_per_call=250)
    assert [len(call) for call in server.calls] == [2] * 5


def test_dimensions_are_asked_for(server: Embeddings) -> None:
    [packet] = embed(server, "one", dimensions=3).packets
    assert len(packet["vector"]) == 3
    assert server.asked[0]["dimensions"] == 3


def test_items_may_come_in_any_order_and_without_places(server: Embeddings) -> None:
    server.edit = lambda items: items[::-1]
    assert [packet["vector"] for packet in embed(server, "a", "b").packets] == [vector_of("a", 8), vector_of("b", 8)]
    server.edit = lambda items: [{"embedding": item["embedding"]} for item in items]
    assert [packet["vector"] for packet in embed(server, "a", "b").packets] == [vector_of("a", 8), vector_of("b", 8)]


# -- faults of single texts -------------------------------------------------------------------------------------


def test_what_has_no_text_fails_alone_and_nothing_is_paid_twice(server: Embeddings) -> None:
    result = embed(server, "a", " ", "b", 7, "x" * 50, cache=0, longest=40)
    assert codes(result) == {1: "document.no_text", 3: "document.no_text", 4: "embed.too_long"}
    assert len(result.packets) == 2
    assert server.texts == ["a", "b"]


def without(text: str) -> Callable[[list[dict[str, Any]]], list[Any]]:
    return lambda items: [item for item in items if item["embedding"] != vector_of(text, 8)]


def test_a_vector_that_is_missing_fails_its_text_alone(server: Embeddings) -> None:
    server.edit = without("b")
    result = embed(server, "a", "b", "c")
    assert codes(result) == {1: "embed.missing"}
    assert [packet["vector"] for packet in result.packets] == [vector_of("a", 8), vector_of("c", 8)]
    assert sorted(server.texts) == ["a", "b", "b", "c"]


def test_a_short_answer_without_places_is_nobodys(server: Embeddings) -> None:
    """Nobody can tell whose the vectors are; each text is asked for alone."""
    server.edit = lambda items: [{"embedding": item["embedding"]} for item in without("b")(items)]
    result = embed(server, "a", "b", "c")
    assert codes(result) == {1: "embed.missing"}
    assert [packet["vector"] for packet in result.packets] == [vector_of("a", 8), vector_of("c", 8)]


def test_a_short_answer_whose_places_leave_no_gap_is_nobodys(server: Embeddings) -> None:
    """A server that counts what it gives, not what it was given, would give the vector of one text to another."""
    server.edit = lambda items: [{**item, "index": n} for n, item in enumerate(without("b")(items))]
    result = embed(server, "a", "b", "c")
    assert codes(result) == {1: "embed.missing"}
    assert [packet["vector"] for packet in result.packets] == [vector_of("a", 8), vector_of("c", 8)]


def test_a_place_that_comes_twice_is_nobodys(server: Embeddings) -> None:
    server.edit = lambda items: [{**item, "index": min(n, 1)} for n, item in enumerate(items)]
    result = embed(server, "a", "b", "c")
    assert not result.dead_letters  # each alone has its place
    assert [packet["vector"] for packet in result.packets] == [vector_of(text, 8) for text in "abc"]


@pytest.mark.parametrize("wrong", [[1.0] * 7, [0.0] * 8, ["1"] * 8, [1e60] * 8, [float("nan")] * 8, None, "AAAA", {}, []])
def test_a_wrong_vector_fails_its_text_alone(server: Embeddings, wrong: Any) -> None:
    server.edit = lambda items: [
        {**item, "embedding": wrong} if item["embedding"] == vector_of("b", 8) else item for item in items
    ]
    result = embed(server, "a", "b", "c")
    assert codes(result) == {1: "embed.wrong"}
    assert len(result.packets) == 2


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": [5, None, "x"]}, {"data": [{"index": 99, "embedding": [1.0]}]}])
def test_an_answer_without_items_is_no_success(server: Embeddings, body: Any) -> None:
    server.rule = lambda _: (200, {}, body)
    assert codes(embed(server, "a", "b")) == {0: "embed.missing", 1: "embed.missing"}


def test_a_text_that_is_refused_is_found_and_fails_alone(server: Embeddings) -> None:
    server.rule = lambda texts: status(400, "input is too long")(texts) if "bad" in texts else None
    result = embed(server, *(f"text {n}" for n in range(40)), "bad", *(f"more {n}" for n in range(23)))
    assert codes(result) == {40: "embed.refused"}
    assert "input is too long" in str(result.dead_letters[0].error)
    assert len(result.packets) == len(server.texts) == 63
    assert len(server.asked) <= 1 + 2 * 6 + 1


# -- faults of the server ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        *(status(429, Retry_After="0"), status(503), status(500), status(502), status(408)),
        lambda _: (200, {}, b"<html>"),
        lambda _: (200, {}, b"[]"),
    ],
)
def test_nothing_fails_while_the_server_does_not_answer(server: Embeddings, fault: Fault) -> None:
    server.faults = [fault]
    with Pipeline(made(server)) as pipeline:
        packets = pipeline.push([Packet({"text": "a"}), Packet({"text": "b"})])
        assert [packet["vector"] for packet in packets] == [vector_of("a", 8), vector_of("b", 8)]
        assert not pipeline.dead_letters


def test_nothing_fails_while_nobody_is_there() -> None:
    gone = Embeddings()
    gone.close()
    [letter] = embed(gone, "a").dead_letters
    assert letter.code in ("retry.exhausted", "component.raised")


@pytest.mark.parametrize("code", [401, 301])
def test_a_wrong_setting_is_no_fault_of_documents(server: Embeddings, code: int) -> None:
    server.rule = status(code, "Incorrect API key provided", Location="http://127.0.0.1:9/")
    [letter] = embed(server, "a").dead_letters
    assert letter.code == "retry.exhausted"  # in a test nothing rests
    assert f"{code}: Incorrect API key provided; check url, model and key" in str(letter.error)


def test_the_key_is_sent_and_never_said(server: Embeddings, caplog: pytest.LogCaptureFixture) -> None:
    server.key = "sk-of-the-server"
    caplog.set_level(logging.DEBUG)
    for key, is_right in (("sk-of-the-server", True), ("sk-of-another", False)):
        component = made(server, key=key)
        component.secrets = Secrets.of([{"key": "${KEY}"}], {"KEY": key})
        result = run_component(component, [Packet({"text": "a"})])
        assert bool(result.packets) is is_right
        assert key not in str([letter.error for letter in result.dead_letters])


def test_an_address_that_is_none() -> None:
    with pytest.raises(Exception, match="no address"):
        run_component(EmbedRemote, [], url="http://[::1", model="small")


# -- the cache --------------------------------------------------------------------------------------------------


class OneStore(MemoryStores):
    """The same store for all that open one, as the instances of a filter have on a node."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def open(self, graph: str, filter: str, component: str, most: int) -> Store:
        return self.store


def test_vectors_are_kept_by_model_and_text(server: Embeddings) -> None:
    stores = OneStore()

    def again(*texts: str, **params: Any) -> list[list[str]]:
        server.calls.clear()
        component = made(server, **params)
        component._stores = stores
        result = run_component(component, [Packet({"text": text}) for text in texts])
        assert [packet["vector"] for packet in result.packets] == [vector_of(text, params.get("dimensions", 8)) for text in texts]
        return server.calls

    assert again("a", "b") == [["a", "b"]]
    assert again("b", "c") == [["c"]]
    assert again("a", "b", "c") == []
    assert again("a", model="large") == [["a"]]
    assert again("a", dimensions=4) == [["a"]]
    assert again("a", cache=0) == [["a"]]


def test_a_re_post_without_a_change_asks_for_nothing_and_a_changed_paragraph_for_three_at_most(server: Embeddings) -> None:
    prose = Prose(5)
    paragraphs = [prose.paragraph() for _ in range(100)]
    before: list[type[Component]] = [Unchanged]
    receipts = (f"r{n:02}" for n in range(100))
    for filters in ([], before):
        server.calls.clear()
        with Pipeline(*filters, Chunk, made(server)) as pipeline:

            def post(paragraphs: list[str], pipeline: Pipeline = pipeline) -> int:
                server.calls.clear()
                pipeline.push([Packet({"text": "\n\n".join(paragraphs)}, {"id": "book", "receipt": next(receipts)})])
                assert not pipeline.dead_letters
                return len(server.texts)

            assert post(paragraphs) > 30
            assert post(paragraphs) == 0
            for _ in range(10):
                paragraphs[prose.random.randrange(100)] = prose.paragraph()
                assert 1 <= post(paragraphs) <= 3
                assert post(paragraphs) == 0


def test_calls_texts_tokens_and_hits_are_counted(server: Embeddings) -> None:
    with Pipeline(nodes={"embed": made(server)}) as pipeline:
        for _ in range(2):
            pipeline.push([Packet({"text": "one two"}), Packet({"text": "three"})])
        assert pipeline.counts["embed"] == {"cache_hits": 2, "calls": 1, "texts": 2, "tokens": 3}


# -- the budget -------------------------------------------------------------------------------------------------


def test_the_server_is_left_alone_as_long_as_it_wishes(server: Embeddings) -> None:
    stores = OneStore()
    server.faults = [status(429, "slow down", Retry_After="900")]
    for _ in range(2):
        component = made(server)
        component._stores = stores
        [letter] = run_component(component, [Packet({"text": "a"})]).dead_letters
        assert letter.code == "retry.exhausted"
    assert len(server.asked) == 1
