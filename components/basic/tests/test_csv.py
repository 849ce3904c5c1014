"""CSV: what tables found in the wild look like, and what becomes of them."""

from __future__ import annotations

import csv
import io
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pypes.packet import Body, Packet
from pypes.testing import ComponentSuite, Result, run_component
from pypes_basic.charset import GUESSED_BYTES
from pypes_basic.columns import Columns
from pypes_basic.csv_adapter import CSV
from pypes_basic.dialect import DELIMITERS, Dialect, dialect_of
from pypes_basic.lines import blocks_of_lines
from pypes_basic.rows import rows_of

from .posting import posted


def rows(result: Result) -> list[dict[str, Any]]:
    assert not result.dead_letters, result.dead_letters
    return [{name: packet.get(name) for name in packet.get_attribute_names()} for packet in result.packets]


class TestCSV(ComponentSuite):
    component = CSV

    def test_rows_become_packets(self) -> None:
        result = run_component(CSV, [posted(b"id,name\r\n1,Ada\r\n2,Grace\r\n", mimetype="text/csv", route="people")])
        assert rows(result) == [{"id": "1", "name": "Ada"}, {"id": "2", "name": "Grace"}]
        assert [packet.get_meta("row") for packet in result.packets] == [1, 2]
        assert {packet.get_meta("route") for packet in result.packets} == {"people"}

    @pytest.mark.parametrize(
        ("data", "meta", "params", "expected"),
        [
            (b"a;b\n1;2,5\n", {}, {}, [{"a": "1", "b": "2,5"}]),
            (b"a\tb\n1\t2;3\n", {"mimetype": "text/tab-separated-values"}, {}, [{"a": "1", "b": "2;3"}]),
            (b"a|b\n1|2\n", {}, {}, [{"a": "1", "b": "2"}]),
            (b"1~2\n", {}, {"delimiter": "~", "columns": ["a", "b"]}, [{"a": "1", "b": "2"}]),
            (b'a,b\n"x\ny","say ""hi"""\n', {}, {}, [{"a": "x\ny", "b": 'say "hi"'}]),
            (b"a,b\n1\n\n1,2,3,4\n", {}, {}, [{"a": "1"}, {"a": "1", "b": "2", "column_3": "3", "column_4": "4"}]),
            (b"tag,tag,tag\nx,y,z\n", {}, {}, [{"tag": ["x", "y", "z"]}]),
            (b" a ,\n1,2\n", {}, {}, [{"a": "1", "column_2": "2"}]),
            ("n\ngrün\n".encode("utf-8-sig"), {}, {}, [{"n": "grün"}]),
            ("n\ngrün\n".encode("utf-16"), {}, {}, [{"n": "grün"}]),
            ("n\ngrün\n".encode("cp1252"), {"charset": "windows-1252"}, {}, [{"n": "grün"}]),
            (b"a,b\n", {}, {}, []),
            (b"", {}, {}, []),
            # what stands before the header
            (b"\nname,age\nann,3\n", {}, {}, [{"name": "ann", "age": "3"}]),
            (b"\r\n \r\nname;age\r\n\r\nbob;4\r\n", {}, {}, [{"name": "bob", "age": "4"}]),
            (b",,\na,b\n1,2\n", {}, {}, [{"a": "1", "b": "2"}]),
            (b"sep=;\r\na,b;c\r\n1,5;2\r\n", {}, {}, [{"a,b": "1,5", "c": "2"}]),
            (b'\n"sep=\t"\na\tb\n1\t2\n', {}, {}, [{"a": "1", "b": "2"}]),
            (b"sep=;\na,b\n1,2\n", {}, {"delimiter": ","}, [{"a": "1", "b": "2"}]),
            (b"sep=\r\na;b\r\n1;2\r\n", {}, {}, [{"a": "1", "b": "2"}]),
            (b'sep="\na;b\n1;2\n', {}, {}, [{"a": "1", "b": "2"}]),
            (b"\xef\xbb\xbf\xef\xbb\xbfn,m\n1,2\n", {}, {}, [{"n": "1", "m": "2"}]),
            (b'\xef\xbb\xbf"n",m\n1,2\n', {}, {}, [{"n": "1", "m": "2"}]),
            # whether there is one
            (
                b"ann,3\nbob,4\n",
                {"header": "absent"},
                {},
                [{"column_1": "ann", "column_2": "3"}, {"column_1": "bob", "column_2": "4"}],
            ),
            (b"ann,3\n", {"header": "absent"}, {"columns": ["who", "age"]}, [{"who": "ann", "age": "3"}]),
            (b"name,years\nann,3\n", {"header": "present"}, {"columns": ["who", "age"]}, [{"who": "ann", "age": "3"}]),
            (b"name,years\nann,3\n", {"header": "absent"}, {"header": "present"}, [{"name": "ann", "years": "3"}]),
            (b"ann,3\n", {}, {"header": "absent"}, [{"column_1": "ann", "column_2": "3"}]),
            # no cell takes the place of another
            (b"column_3,b\nfirst,second,third\n", {}, {}, [{"column_3": "first", "b": "second", "column_3_": "third"}]),
            (b"a,,column_2\n1,2,3\n", {}, {}, [{"a": "1", "column_2_": "2", "column_2": "3"}]),
            (b"a,a,\n1,2,3,4\n", {}, {}, [{"a": ["1", "2"], "column_3": "3", "column_4": "4"}]),
            (
                b"a,b\n1,2,3\n1,2,3,4\n",
                {},
                {},
                [{"a": "1", "b": "2", "column_3": "3"}, {"a": "1", "b": "2", "column_3": "3", "column_4": "4"}],
            ),
            (b"a,b\n,\n", {}, {}, [{"a": "", "b": ""}]),
            (b'a\tb\n"1\t2 "x"\n', {"mimetype": "text/tab-separated-values"}, {"quotes": False}, [{"a": '"1', "b": '2 "x"'}]),
            (b'"a,b";c\n"1,2";3\n', {}, {"quotes": False}, [{'"a,b"': '"1,2"', "c": "3"}]),
            (b'a\tb\n"1\t2"\t3\n', {"mimetype": "text/tab-separated-values"}, {}, [{"a": "1\t2", "b": "3"}]),
            (b"a,b\r1,2\r", {}, {}, [{"a": "1", "b": "2"}]),
            (b"a,b\n1\x00,2\n", {}, {}, [{"a": "1\x00", "b": "2"}]),
        ],
    )
    def test_forms(self, data: bytes, meta: dict[str, Any], params: dict[str, Any], expected: list[dict[str, Any]]) -> None:
        assert rows(run_component(CSV, [posted(data, **meta)], **params)) == expected

    @pytest.mark.parametrize(
        ("meta", "params", "names"),
        [
            ({"id": "t"}, {}, [("t/row=1", "t", "row=1"), ("t/row=2", "t", "row=2")]),
            ({"id": 7}, {}, [("7/row=1", "7", "row=1"), ("7/row=2", "7", "row=2")]),
            ({"id": "t"}, {"id_column": "sku"}, [("t/row=x%2F1", "t", "row=x%2F1"), ("t/row=y", "t", "row=y")]),
            ({}, {"id_column": "sku"}, [("x/1", "x/1", ""), ("y", "y", "")]),
            ({}, {}, [("5", "5", ""), ("6", "6", "")]),  # by their fields
            (
                {"id": "m/member=a", "document": "m", "part": "member=a"},
                {},
                [("m/member=a/row=1", "m", "member=a/row=1"), ("m/member=a/row=2", "m", "member=a/row=2")],
            ),
            ({"part": "member=a"}, {}, [("5", None, "member=a/row=1"), ("6", None, "member=a/row=2")]),
            ({"part": "member=a"}, {"id_column": "sku"}, [("5", None, "member=a/row=x%2F1"), ("6", None, "member=a/row=y")]),
        ],
    )
    def test_rows_are_parts_of_a_table_with_an_identity(self, meta: Any, params: Any, names: list[Any]) -> None:
        result = run_component(CSV, [posted(b"sku,id\nx/1,5\ny,6\n", **meta)], **params)
        assert not result.dead_letters
        found = [(row.id, row.document.id if row.document else None, row.part) for row in result.packets]
        assert found == names
        assert [row.get_meta("row") for row in result.packets] == [1, 2]

    @pytest.mark.parametrize("column", ["sku", "other"])
    def test_a_row_without_a_value_in_the_column_of_ids_fails_there(self, column: str) -> None:
        result = run_component(CSV, [posted(b'sku\nx\n""\nz\n')], id_column=column)
        (failure,) = result.dead_letters
        assert (failure.code, len(result.packets)) == ("csv.no_id", {"sku": 1, "other": 0}[column])

    def test_an_id_that_leaves_no_room_for_those_of_rows_is_told_before_the_first_row(self) -> None:
        result = run_component(CSV, [posted(b"a\n1\n", id="x" * 2040)])
        assert ([failure.code for failure in result.dead_letters], result.packets) == (["document.id"], [])

    def test_it_streams(self) -> None:
        class Long(Body):
            """Ten megabytes that are made while they are read, and know how much of them was asked for since they were opened."""

            size = 10**7
            taken = 0

            def open(self) -> BinaryIO:
                self.taken = 0
                return io.BufferedReader(_Rows(self))

            def read(self) -> bytes:
                raise AssertionError("the body was read whole")

        body = Long()
        packets = run_component(_FirstRows, [posted(body)]).packets
        assert len(packets) == 5
        assert body.taken < 10**6

    @pytest.mark.parametrize("more", [-1, 0, 1, 1000])
    def test_what_is_just_looked_at_to_its_end_has_all_its_rows(self, more: int) -> None:
        count = GUESSED_BYTES // 5 - 9
        data = "a;b\n".encode("utf-8-sig") + "ä;1\n".encode() * count
        last = "x" * (GUESSED_BYTES + more - len(data))
        found = rows(run_component(CSV, [posted(data + last.encode())]))
        assert found == [{"a": "ä", "b": "1"}] * count + [{"a": last}]

    def test_a_body_that_gives_less_than_it_was_asked_for_is_read_to_its_end(self) -> None:
        class Slow(Body):
            size = 80

            def open(self) -> BinaryIO:
                return cast("BinaryIO", _Drops(b"a;b\n" + b"1,5;2\n" * 12 + b"x;yz"))

            def read(self) -> bytes:
                raise AssertionError("the body was read whole")

        assert len(rows(run_component(CSV, [posted(Slow())], delimiter=";"))) == 13

    def test_a_long_cell_is_a_cell(self) -> None:
        data = b'name,body\none,short\ntwo,"' + b"lorem " * 50_000 + b'"\nthree,last\n'
        assert [len(row["body"]) for row in rows(run_component(CSV, [posted(data)]))] == [5, 300_000, 4]

    @pytest.mark.parametrize(
        ("tail", "reason"),
        [
            (b'5,"six\nseven\n', "line 5: a quote is opened in the row that begins here, and never closed"),
            (b'5,"six\nseven', "line 5: a quote is opened in the row that begins here, and never closed"),
            (b'5,"', "line 5: a quote is opened in the row that begins here, and never closed"),
            (b'5,"' + b"x\n" * 1000, "line 5: a cell of the row that begins here has more than max_cell, 1000 characters"),
        ],
    )
    def test_where_a_row_does_not_end_the_document_fails_and_what_is_before_it_is_sent(self, tail: bytes, reason: str) -> None:
        (result := run_component(CSV, [posted(b'a,b\n1,2\n3,"x\ny"\n' + tail)], max_cell=1000))
        (failure,) = result.dead_letters
        assert failure.code == "csv.malformed"
        assert failure.error.startswith(reason)
        assert [packet.get("b") for packet in result.packets] == ["2", "x\ny"]

    @pytest.mark.parametrize(
        "row",
        [b"a," * 100_000, b'"\n",' * 50_000, b"x\r" * 40_000 + b"y" * 200_000],
        ids=["one line", "many lines", "behind lone CRs"],
    )
    def test_a_row_that_does_not_end_is_not_gathered_for_ever(self, row: bytes) -> None:
        (failure,) = run_component(CSV, [posted(b"a,b\n1,2\n" + row)], max_row=1 << 16).dead_letters
        assert failure.code == "csv.malformed"
        assert failure.error.startswith(
            f"line {3 if row[:1] != b'x' else 40_003}: the row that begins here has more than max_row, 65536"
        )

    def test_more_columns_than_memory_is_for_fail(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pypes_basic.columns.MOST_COLUMNS", 1000)
        for data in (b"," * 1000 + b"\n1\n", b"a\n" + b"," * 1000):
            (failure,) = run_component(CSV, [posted(data)], delimiter=",", header="absent").dead_letters
            assert (failure.code, failure.error) == (
                "csv.malformed",
                "a row has 1001 cells, 1000 are possible; name another delimiter, or part the table",
            )

    def test_the_bound_of_a_cell_is_nobody_elses(self) -> None:
        before = csv.field_size_limit()
        run_component(CSV, [posted(b"a\n1\n"), posted(b'a\n"')])
        assert csv.field_size_limit() == before

    @pytest.mark.parametrize("charset", ["ascii", "no-such"])
    def test_a_character_set_that_shows_far_down_is_that_of_the_whole_table(self, charset: str) -> None:
        data = b"gr\xfcn\n" if charset == "ascii" else b"a\n"
        result = run_component(CSV, [posted(data + b"x\n" * 40_000 + b"caf\xe9\n", charset=charset)])
        assert (rows(result)[-1], result.dead_letters) == ({data.decode("cp1252").strip(): "café"}, ())
        assert {packet.get_meta("charset") for packet in result.packets} == {"windows-1252"}

    def test_a_damaged_byte_far_down_fails_the_whole_table(self) -> None:
        result = run_component(CSV, [posted(b"a\n" + b"x\n" * 40_000 + "grün".encode() + b"\xff\n", charset="utf-8")])
        (failure,) = result.dead_letters
        assert (failure.code, result.packets) == ("csv.charset", [])
        assert "byte 80007" in failure.error

    def test_a_character_set_that_shows_far_down_is_found_out(self) -> None:
        result = run_component(CSV, [posted(b"a\n" + b"x\n" * 40_000 + "café\nnaïve\n".encode("latin-1"))])
        assert [row["a"] for row in rows(result)[-2:]] == ["café", "naïve"]
        assert not result.dead_letters

    @pytest.mark.parametrize("data", [b"a\nna\xc3", "a\nb".encode("utf-16")[:-1]])
    def test_a_table_that_ends_within_a_character_fails_as_a_whole(self, data: bytes) -> None:
        result = run_component(CSV, [posted(data, charset="utf-8") if data[0] == 97 else posted(data)])
        assert ([failure.code for failure in result.dead_letters], result.packets) == (["csv.charset"], [])


class _Drops(io.RawIOBase):
    """Five bytes a time."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(5, len(buffer)))
        buffer[: len(data)] = data
        return len(data)


class _Rows(io.RawIOBase):
    def __init__(self, body: Any) -> None:
        self.body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = (b"a,b\n" * (len(buffer) // 4 + 1))[: min(len(buffer), self.body.size - self.body.taken)]
        buffer[: len(chunk)] = chunk
        self.body.taken += len(chunk)
        return len(chunk)


class _FirstRows(CSV):
    """CSV that stops after five rows: what it has not read by then it must not have taken."""

    def process(self, packet: Packet) -> None:
        taken = 0
        forward = self.send

        class Enough(Exception):
            pass

        def send(port: str, data: Any) -> bool:
            nonlocal taken
            if taken == 5:
                raise Enough
            taken += 1
            return forward(port, data)

        self.send = send  # type: ignore[method-assign]
        try:
            super().process(packet)
        except Enough:
            return
        finally:
            self.send = forward  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("head", "delimiter"),
    [
        ('"Last, First";"City, State";Age\n"Doe, J";"X, Y";3\n', ";"),
        ('"Last, First";"City, State"\n"Doe, J";"X, Y"\n', ";"),
        ("Betrag, netto;Menge\n1,5;2\n2,5;4\n", ";"),
        ("a;b;c\n1,5;2,5;3,5\n", ";"),
        ("a;b;c\n" + "1,5;2,5;3,5\n" * 20, ";"),
        ("Betrag, netto;Menge;Datum\n" + "1,5;2,5;3,5\n" * 20, ";"),
        ("text\nHello; world\nBye; moon\n", ","),
        ("a,b\n1;x,2\n3,4\n", ","),
        ("name,notes\nann,likes a; b; c\nbob,x\n", ","),
        ("a,b,c\n1,2\n1,2,3\n1,2,3\n", ","),
        ("Report of May\na;b\n1;2\n3;4\n5;6\n7;8\n9;10\n1;2\n3;4\n5;6\n7;8\n9;10\n", ";"),
        ("text\nhello, world\nfoo\nbar\n", ","),
        ("text\nhello; world\nfoo\nbar\n", ","),
        ("one\n", ","),
        ("", ","),
        ("a|b\n1|2\n", "|"),
    ],
)
def test_the_separator_is_what_splits_rows_most_evenly(head: str, delimiter: str) -> None:
    assert dialect_of(list(io.StringIO(head, newline="")), is_whole=False) == Dialect(delimiter, 0)


@given(
    table=st.integers(2, 5).flatmap(
        lambda width: st.lists(
            st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=width, max_size=width),
            min_size=2,
            max_size=60,
        )
    ),
    delimiter=st.sampled_from(DELIMITERS),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_written_is_read(table: list[list[str]], delimiter: str, end: str) -> None:
    assume(any(cell.strip() for cell in table[0]))
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(table)
    result = run_component(CSV, [posted(file.getvalue().encode())])
    columns = Columns(table[0])
    assert rows(result) == [columns.fields(cells) for cells in table[1:]]


@given(table=st.lists(st.lists(st.text('ab\n"', max_size=4), min_size=1, max_size=3), max_size=70))
def test_rows_are_those_of_the_csv_module(table: list[list[str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(table)
    lines = file.getvalue().splitlines(keepends=True)
    assert [row for some in rows_of([lines], ",", 100, 1000) for row in some] == list(csv.reader(lines))


@given(st.lists(st.sampled_from(["a", "é", "\r", "\n", "\r\n", "\u2028"]), max_size=40).map("".join), st.integers(1, 5))
def test_lines_are_those_of_the_whole_text(text: str, size: int) -> None:
    class Few(io.BytesIO):
        def read(self, n: int | None = -1, /) -> bytes:
            return super().read(size)

    blocks = list(blocks_of_lines(Few(text.encode()), "utf-8", 100))
    assert [line for lines in blocks for line in lines] == list(io.StringIO(text, newline=""))
    assert all(blocks)
