"""Chunk: parts that keep structure and places, whatever the text is, and that stay what they are when it changes elsewhere."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes import Packet
from pypes.structure import KINDS, TextBuilder
from pypes.testing import ComponentSuite, Result, run_component
from pypes_text.chunk import Chunk
from tests.needed import library

from .prose import Prose


def chunked(packet: Packet, **params: Any) -> list[Packet]:
    result = run_component(Chunk, [packet], **params)
    assert not result.dead_letters
    return result.packets


def texts(packet: Packet, **params: Any) -> list[str]:
    return [chunk["text"] for chunk in chunked(packet, **params)]


def built(*blocks: tuple[Any, ...]) -> Packet:
    """A packet of blocks, each a text, a kind, a level and a page as far as given."""
    builder = TextBuilder()
    for text, kind, level, page in (block + ("", "paragraph", 0, 0)[len(block) :] for block in blocks):
        builder.add(text, kind, level=level, page=page)
    packet = Packet({"title": "On looms"}, {"id": "looms"})
    builder.put(packet)
    return packet


class TestChunk(ComponentSuite):
    component = Chunk
    params = {"size": 100}

    def test_kept_fields_count_in_each_chunk(self) -> None:
        packet = Packet({"text": "A loom.\n\n" * 60, "title": "x" * 10_000})
        result = run_component(Chunk, [packet], size=16, max_kept_bytes=500_000)
        assert len(result.packets) == 49
        (letter,) = result.dead_letters
        assert letter.code == "document.too_large"
        assert "in 50 more than max_kept_bytes (500000) together; keep less, or raise it" in letter.error


# -- places and fields ------------------------------------------------------------------------------------------

#: Pieces of texts that have every kind of boundary, or none.
PIECES = st.sampled_from(
    [
        *(
            "One. ",
            "Two, e.g. three! ",
            "\n",
            "\n\n",
            " ",
            "word ",
            "x" * 90,
            "東京は晴れ。",
            "é\u0301",
            "👩\u200d👩\u200d👧",
            "\t",
            "\r\n",
        ),
        *("3.5 ", "\ud800", "\u2028", "a\n\n", "كلمة؟ "),
    ]
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)


@pytest.mark.hypothesis
@given(TEXTS, st.integers(16, 80), st.data())
def test_chunks_are_stretches_of_the_text_and_leave_nothing_out(text: str, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size // 2))
    if not text.strip():
        return
    end = 0
    for chunk in chunked(Packet({"text": text}), size=size, overlap=overlap):
        assert chunk["text"] == text[chunk["start"] : chunk["end"]]
        assert 0 < len(chunk["text"]) <= size
        assert chunk["end"] > end
        assert not text[end : max(end, chunk["start"])].strip()
        assert end - chunk["start"] <= overlap
        end = chunk["end"]
    assert not text[end:].strip()


@pytest.mark.hypothesis
@given(
    st.lists(st.tuples(st.sampled_from(["heading", "paragraph", "item", "code", "quote"]), TEXTS, st.integers(1, 4))),
    st.integers(0, 3),
)
def test_no_chunk_crosses_a_heading(blocks: list[tuple[str, str, int]], level: int) -> None:
    builder = TextBuilder()
    for kind, text, depth in blocks:
        builder.add(text, kind, level=depth if kind == "heading" else 0)
    packet = Packet()
    builder.put(packet)
    if not builder.text.strip():
        return
    ends = [chunk["end"] for chunk in chunked(packet, size=64, level=level)]
    assert ends == sorted({*ends})
    for chunk in chunked(packet, size=64, level=level):
        inside = [block for block in builder.blocks if chunk["start"] <= block.start < chunk["end"]]
        headings = [n for n, block in enumerate(inside) if block.kind == "heading" and block.level <= level]
        # a heading may stand behind others with nothing below them, and behind the title before all of them
        for n in headings:
            before = inside[1:n] if inside[0] is builder.blocks[0] else inside[:n]
            assert all(block.kind == "heading" for block in before)


@pytest.mark.hypothesis
@given(
    st.lists(PIECES | st.sampled_from([" " * 99, "\n" * 99]), max_size=30).map("".join),
    st.lists(st.tuples(st.integers(0, 100), st.sampled_from(KINDS), st.integers(1, 4))),
    st.integers(16, 80),
    st.booleans(),
)
def test_chunks_say_something_and_fit_whatever_the_blocks_are(
    text: str, cuts: list[tuple[int, str, int]], size: int, has_tokens: bool
) -> None:
    if not text.strip():
        return
    packet = Packet({"text": text})
    blocks = [
        {
            "start": start * len(text) // 100,
            "end": end * len(text) // 100,
            "kind": kind,
            "level": level,
            **({"rows": [["a"]]} if kind == "table" else {}),
        }
        for (start, kind, level), (end, *_) in pairwise(sorted(cuts))
    ]
    packet.set_meta("blocks", blocks, "text")
    end = 0
    for chunk in chunked(packet, size=size, unit="tokens" if has_tokens else "characters"):
        assert chunk["text"].strip()
        assert len(chunk["text"]) <= size * (4 if has_tokens else 1)
        assert not text[end : chunk["start"]].strip()
        end = chunk["end"]
        assert text[chunk["start"] : end].strip()
    assert not text[end:].strip()


def test_a_long_heading_is_cut() -> None:
    words = " ".join(f"word{n}" for n in range(60))
    packet = built((words, "heading", 1, 7), ("Below", "heading", 2, 7), (words, "paragraph", 0, 7), (words, "heading", 1, 8))
    found = chunked(packet, size=100)
    assert " ".join(chunk["text"] for chunk in found).split() == f"{words} Below {words} {words}".split()
    assert max(len(chunk["text"]) for chunk in found) <= 100
    assert [chunk["heading"] for chunk in found if "Below" in chunk["text"]] == [[words, "Below"]]
    assert found[0]["page"] == 7
    assert found[-1]["heading"] == [words]


@pytest.mark.parametrize("kind", KINDS)
def test_white_space_is_no_chunk(kind: str) -> None:
    packet = Packet({"text": f"One.{' ' * 500}{chr(10) * 500}Two.{' ' * 150}"})
    blocks = [{"start": 4, "end": 500, "kind": kind, "level": 1}, {"start": 600, "end": 1158, "kind": kind, "level": 1}]
    packet.set_meta("blocks", blocks, "text")
    found = chunked(packet, size=100)
    assert [chunk["text"].strip() for chunk in found] == ["One.", "Two."]
    assert all(title.strip() for chunk in found for title in chunk.get("heading", []))


def test_fields_and_ids() -> None:
    packet = built(
        ("Looms", "heading", 1, 1),
        ("Cards choose the threads of the warp.", "paragraph", 0, 1),
        ("Sizes", "heading", 2, 2),
        ("A pirn is three centimetres long.", "paragraph", 0, 2),
        ("A bobbin is longer than that one.", "paragraph", 0, 3),
    )
    packet.set("author", ["Ada", "Jacquard"], multi=True)
    packet.set("links", ["https://example.org"], multi=True)
    found = chunked(packet, size=80)
    assert [chunk.id for chunk in found] == ["looms/chunk=1", "looms/chunk=2"]
    assert [chunk["heading"] for chunk in found] == [["Looms"], ["Looms", "Sizes"]]
    assert [(chunk["page"], chunk["page_end"]) for chunk in found] == [(1, 1), (2, 3)]
    assert found[1]["text"].startswith("Sizes\n\nA pirn")
    for chunk in found:
        assert chunk["title"] == "On looms"
        assert chunk["author"] == ["Ada", "Jacquard"]
        assert "links" not in chunk
        assert chunk["text"] == packet["text"][chunk["start"] : chunk["end"]]
    found[0].append("author", "Vaucanson")
    assert found[1]["author"] == packet["author"] == ["Ada", "Jacquard"]


def test_a_part_of_a_document_is_cut_as_well() -> None:
    mail = Packet({}, {"id": "inbox/7"})
    [chunk] = chunked(mail.derive("attachment", 2, {"text": "Two pages."}))
    assert chunk.id == "inbox/7/attachment=2/chunk=1"


def test_text_that_no_block_has_is_not_lost() -> None:
    packet = Packet({"text": "Before it.\n\nLooms\n\nBehind it."})
    packet.set_meta("blocks", [{"start": 12, "end": 17, "kind": "heading", "level": 1}], "text")
    assert texts(packet) == ["Before it.", "Looms\n\nBehind it."]


# -- boundaries -------------------------------------------------------------------------------------------------


def test_a_heading_stays_with_what_follows() -> None:
    packet = built(
        ("Looms", "heading", 1), ("Parts", "heading", 2), ("Cards.", "paragraph"), ("Empty", "heading", 2), ("End", "heading", 1)
    )
    found = chunked(packet)
    assert [chunk["text"] for chunk in found] == ["Looms\n\nParts\n\nCards.", "Empty\n\nEnd"]
    assert [chunk["heading"] for chunk in found] == [["Looms", "Parts"], ["End"]]


@pytest.mark.parametrize("kind", ["paragraph", "heading"])
def test_a_title_stays_with_what_follows(kind: str) -> None:
    looms = "The loom of Jacquard"
    packet = built(
        (looms, kind, int(kind == "heading"), 1),
        *(("Cards", "heading", 1, 1), ("A hole lifts a thread.", "paragraph", 0, 1)),
        *(("Knots", "heading", 1, 2), ("A knot holds.", "paragraph", 0, 2)),
    )
    first, second = chunked(packet)
    assert first["text"] == f"{looms}\n\nCards\n\nA hole lifts a thread."
    assert packet["text"][first["start"] : first["end"]] == first["text"]
    assert (first["heading"], first["page"], first["page_end"]) == (["Cards"], 1, 1)
    assert (second["heading"], second["page"]) == (["Knots"], 2)


@pytest.mark.parametrize("before", ["It is woven on looms.", "two\nlines", "Looms and all that belongs to them " * 4])
def test_text_before_the_first_heading_is_a_chunk(before: str) -> None:
    assert texts(built((before,), ("Cards", "heading", 1), ("A hole lifts a thread.",))) == [
        before.strip(),
        "Cards\n\nA hole lifts a thread.",
    ]


def test_headings_below_the_level_are_the_first_places_to_cut() -> None:
    sentence = "Cards choose the threads of the warp. "
    packet = built((sentence * 4,), ("Below", "heading", 3), (sentence * 2,), (sentence * 2,))
    assert texts(packet, size=200)[1].startswith("Below\n\n")
    assert len(texts(packet, size=1000)) == 1


def test_tables_and_code_are_whole_where_they_fit() -> None:
    code = "\n".join(f"    line({n})" for n in range(12))
    builder = TextBuilder()
    builder.add("Sentence one is here. " * 8)
    builder.add(code, "code")
    builder.add_table([["name", "cm"], *([f"pirn {n}", str(n)] for n in range(9))])
    packet = Packet()
    builder.put(packet)
    found = texts(packet, size=200)
    assert sum(code in text for text in found) == 1
    assert sum(text.count("| name | cm |") for text in found) == 1
    assert [text for text in found if "| pirn 0 |" in text] == [text for text in found if "| pirn 8 |" in text]


def test_a_long_table_is_cut_between_rows_and_its_head_repeated() -> None:
    builder = TextBuilder()
    builder.add("Sizes", "heading", level=1)
    builder.add_table([["name", "cm"], *([f"pirn {n}", str(n)] for n in range(40))])
    builder.add("Behind.")
    packet = Packet()
    builder.put(packet)
    found = chunked(packet, size=200)
    assert found[-1]["text"] == "Behind."
    head = "| name | cm |\n| --- | --- |\n"
    rows: list[str] = []
    for n, chunk in enumerate(found[:-1]):
        assert chunk["text"] == (head if n else "") + packet["text"][chunk["start"] : chunk["end"]]
        assert len(chunk["text"]) <= 200
        assert chunk["heading"] == ["Sizes"]
        rows += chunk["text"].removeprefix("Sizes\n\n").removeprefix(head).split("\n")
    assert rows == [f"| pirn {n} | {n} |" for n in range(40)]


def test_sentences_and_words() -> None:
    assert texts(Packet({"text": "One two three, e.g. four. Five six seven 3.5 eight. Nine."}), size=28) == [
        "One two three, e.g. four.",
        "Five six seven 3.5 eight.",
        "Nine.",
    ]
    assert all(text.split()[0] in {"alpha", "beta"} for text in texts(Packet({"text": "alpha beta " * 40}), size=40))
    assert "".join(texts(Packet({"text": "é\u0301" * 50}), size=16)) == "é\u0301" * 50


# -- lengths ----------------------------------------------------------------------------------------------------


def test_tokens_are_estimated() -> None:
    found = texts(Packet({"text": "Cards choose threads. " * 40}), size=20, unit="tokens")
    assert max(len(text) for text in found) <= 20 * 4 + 3


def test_tokens_are_counted_by_a_tokenizer(tmp_path: Path) -> None:
    tokenizers = library("tokenizers", "pypes-text[tokens]")
    path = tmp_path / "tokenizer.json"
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    words.save(str(path))
    found = texts(Packet({"text": "Cards choose threads. " * 40 + "word " * 100}), size=16, unit="tokens", tokenizer=str(path))
    assert max(len(text.split()) for text in found) <= 16
    assert sum(len(text.split()) for text in found) == 220
    path.write_text("{}")
    with pytest.raises(Exception, match="is no tokenizer"):
        texts(Packet({"text": "x"}), unit="tokens", tokenizer=str(path))


def test_the_end_of_the_chunk_before_is_repeated_within_a_section() -> None:
    prose = Prose(3)
    packet = built(("A", "heading", 1), *((prose.paragraph(200),) for _ in range(9)), ("B", "heading", 1), (prose.paragraph(),))
    plain, found = chunked(packet, size=400), chunked(packet, size=500, overlap=100)
    assert [chunk["end"] for chunk in found] == [chunk["end"] for chunk in plain]
    repeated = [before["end"] - chunk["start"] for before, chunk in pairwise(found)]
    assert max(repeated) > 20
    assert min(repeated) >= -2
    assert [chunk["heading"] for chunk in found if chunk["text"].startswith("B\n\n")] == [["B"]]


# -- faults -----------------------------------------------------------------------------------------------------


def test_a_title_alone_is_a_chunk() -> None:
    bare = Packet({"title": "Looms run on Sundays", "text": "", "author": "Ada"}, {"id": "7"})
    (found,) = run_component(Chunk, [bare]).packets
    assert found.id == "7/chunk=1"
    assert {name: found.get(name) for name in found.get_attribute_names()} == {
        "title": "Looms run on Sundays",
        "text": "Looms run on Sundays",
        "author": "Ada",
    }


def test_a_document_without_text_is_no_success() -> None:
    result: Result = run_component(Chunk, [Packet({"text": " \n "}), Packet(), Packet({"text": 5}), Packet({"text": ["a", "b"]})])
    assert [letter.code for letter in result.dead_letters] == ["document.no_text", "document.no_text", "rejected", "rejected"]
    deletion = Packet({}, {"id": "1", "requestmethod": "DELETE"})
    assert run_component(Chunk, [deletion]).packets == [deletion]


@pytest.mark.parametrize("params", [{"size": 100, "overlap": 51}, {"tokenizer": "x.json"}, {"size": 3}])
def test_parameters_that_cannot_be(params: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"not valid|overlap|tokens|size"):
        run_component(Chunk, [], **params)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", ["x" * 2_000_000, "word " * 400_000, "One. " * 100_000, "a\n" * 300_000, "a\n\n" * 100_000, "。" * 300_000]
)
def test_odd_texts_are_cut_in_linear_time(text: str) -> None:
    found = chunked(Packet({"text": text}))
    assert max(len(chunk["text"]) for chunk in found) <= 2000
    assert len(found) < len(text) / 400
