"""Character sets: labels, decoders, what is said of them, and streaming."""

from __future__ import annotations

import codecs
import io

import pytest
import webencodings  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from pypes_basic.charset import GUESSED_BYTES, Found, decode, fitting, settle
from pypes_basic.labels import UTF_8, WINDOWS_1252, Charset, labelled
from pypes_basic.undefined import REPLACE, STRICT

RUSSIAN = "Привет, это обычный русский текст. " * 20


class TestLabels:
    @pytest.mark.parametrize(
        ("label", "name"),
        [
            ("utf-8", "utf-8"),
            (" UTF8\n", "utf-8"),
            ("iso-8859-1", "windows-1252"),
            ("Latin1", "windows-1252"),
            ("us-ascii", "windows-1252"),
            ("gb2312", "gbk"),
            ("ks_c_5601-1987", "euc-kr"),
            ("x-sjis", "shift_jis"),
            ("iso-8859-9", "windows-1254"),
            ("tis-620", "windows-874"),
            ("utf-16", "utf-16le"),
            ("x-user-defined", "windows-1252"),
            ("iso-2022-kr", "iso-2022-kr"),
            ("HZ-GB-2312", "hz-gb-2312"),
        ],
    )
    def test_what_the_web_means_by_a_label(self, label: str, name: str) -> None:
        found = labelled(label)
        assert found is not None
        assert found.name == name

    @pytest.mark.parametrize(
        "label",
        [
            *("utf-7", "unicode_escape", "raw_unicode_escape", "rot13", "punycode", "idna", "base64", "zip", "mbcs", "undefined"),
            *("x-bogus", "utf8mb4", "cp-850", "none", "replacement", "iso-2022-cn", "utf_8", "", "\0", "\ud800", "\u212ao18-r"),
        ],
    )
    def test_what_it_does_not_know(self, label: str) -> None:
        assert labelled(label) is None

    def test_all_of_them_can_be_decoded(self) -> None:
        charsets = [labelled(label) for label in webencodings.LABELS]
        assert sum(charset is None for charset in charsets) == 3
        for charset in charsets:
            if charset is not None:
                assert codecs.getincrementaldecoder(charset.codec)(STRICT).decode(b"", final=True) == ""


@pytest.mark.parametrize("errors", [STRICT, REPLACE])
@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        (b"\x93caf\xe9\x94 10 \x80", "iso-8859-1", "“café” 10 €"),
        (b"\x81\x8d\x8f\x90\x9d", "windows-1252", "\x81\x8d\x8f\x90\x9d"),
        (b"\x81\xc0", "windows-1250", "\x81Ŕ"),
        (b"10\x80 ", "gbk", "10€ "),
        (b"\xad\xa1\xad\xea", "euc-jp", "①㈱"),
        (b"\xfc\xe2", "euc-jp", "髙"),
        (b"\x1b$B-!\x1b(B", "iso-2022-jp", "①"),
        (b"\x87\x40", "shift_jis", "①"),
        ("朱镕基 喆".encode("gbk"), "gb2312", "朱镕基 喆"),
    ],
)
class TestDecoders:
    def test_at_once(self, data: bytes, label: str, text: str, errors: str) -> None:
        charset = labelled(label)
        assert charset is not None
        assert data.decode(charset.codec, errors) == text

    def test_byte_by_byte(self, data: bytes, label: str, text: str, errors: str) -> None:
        charset = labelled(label)
        assert charset is not None
        decoder = codecs.getincrementaldecoder(charset.codec)(errors)
        pieces = [decoder.decode(data[at : at + 1]) for at in range(len(data))]
        assert "".join(pieces) + decoder.decode(b"", final=True) == text


@pytest.mark.parametrize(
    ("data", "codec"), [(b"\xaa", "cp1253"), (b"\xfe\xfe", "euc_jp"), (b"\xff", "gb18030"), (b"\xff", "utf-8")]
)
def test_bytes_that_the_web_does_not_know_either(data: bytes, codec: str) -> None:
    with pytest.raises(UnicodeDecodeError):
        data.decode(codec, STRICT)
    assert set(data.decode(codec, REPLACE)) == {"\ufffd"}


@pytest.mark.parametrize(
    ("data", "declared", "text", "metadata"),
    [
        (b"plain", None, "plain", {"charset": "utf-8"}),
        (b"plain", "us-ascii", "plain", {"charset": "windows-1252"}),
        ("grün".encode(), "UTF8", "grün", {"charset": "utf-8"}),
        ("grün".encode("utf-16"), None, "grün", {"charset": "utf-16le"}),
        ("grün".encode("utf-32"), None, "grün", {"charset": "utf-32le"}),
        (
            "grün".encode("utf-8-sig"),
            "iso-8859-1",
            "grün",
            {"charset": "utf-8", "charset_declared": "iso-8859-1"},
        ),
        (b"it\x92s", "iso-8859-1", "it\N{RIGHT SINGLE QUOTATION MARK}s", {"charset": "windows-1252"}),
        (RUSSIAN.encode("cp1251"), None, RUSSIAN, {"charset": "windows-1251", "charset_guessed": True}),
        (b"ann", "x-bogus", "ann", {"charset": "utf-8", "charset_declared": "x-bogus", "charset_guessed": True}),
        (b"+ADw-", "utf-7", "+ADw-", {"charset": "utf-8", "charset_declared": "utf-7", "charset_guessed": True}),
        (b"caf\xe9", "utf-8", "café", {"charset": "windows-1252", "charset_declared": "utf-8", "charset_guessed": True}),
        ("grün".encode() + b"\xff", None, "grün\ufffd", {"charset": "utf-8", "replaced_characters": 1}),
        ("grün \ufffd".encode() + b"\xff", "utf-8", "grün \ufffd\ufffd", {"charset": "utf-8", "replaced_characters": 1}),
        ("grün".encode("utf-16") + b"x", None, "grün\ufffd", {"charset": "utf-16le", "replaced_characters": 1}),
        ("서울".encode("cp949") + b"\xff", "euc-kr", "서울\ufffd", {"charset": "euc-kr", "replaced_characters": 1}),
        (
            b"twenty bytes of ASCII",
            "utf-16",
            "twenty bytes of ASCII",
            {"charset": "utf-8", "charset_declared": "utf-16", "charset_guessed": True},
        ),
        ("中".encode("utf-16-le"), "utf-16", "中", {"charset": "utf-16le"}),
        ("안녕".encode("iso2022_kr"), "iso-2022-kr", "안녕", {"charset": "iso-2022-kr"}),
    ],
)
def test_documents(data: bytes, declared: str | None, text: str, metadata: dict[str, object]) -> None:
    found = decode(data, declared)
    assert (found[0], found[1].metadata) == (text, metadata)


@given(st.binary(), st.sampled_from([None, "utf-8", "gbk", "euc-jp", "iso-2022-jp", "hz-gb-2312", "utf-16", "windows-1257", "x"]))
def test_any_bytes_decode(data: bytes, declared: str | None) -> None:
    text, found = decode(data, declared)
    assert isinstance(text, str)
    assert 0 <= found.replaced <= text.count("\ufffd")


@pytest.mark.parametrize(
    "text",
    [
        "Grüße Straße",
        "Name;Straße\nMüller;Köln",
        "Café crème à la carte",
        "Preis: 5 € für Ärzte",
        "naïve café",
        "El Niño llegó mañana",
        "It’s “quoted”",  # noqa: RUF001
        "Größe: 5 µm ± 2 °C",
        "Smørrebrød på Ærø",
        "100 £ – 20 %",  # noqa: RUF001
        "Élève à l’école",  # noqa: RUF001
        "«Œuvre d’été» n° 7",  # noqa: RUF001
    ],
)
def test_short_texts_of_western_europe(text: str) -> None:
    data = text.encode("cp1252")
    read, found = decode(data)
    assert (read, found.metadata) == (text, {"charset": "windows-1252", "charset_guessed": True})
    assert settle(data, True, lambda: io.BytesIO(data), None) == (found, None)


@pytest.mark.parametrize(
    ("text", "codecs"),
    [
        ("Привет, мир", ("cp1251", "koi8-r")),
        ("Это обычный русский текст.", ("cp1251", "koi8-r", "iso8859-5", "cp866")),
        ("name;city\nIvan;Москва\n", ("cp1251",)),
        ("SQL-запрос в файле config.ini не найден", ("cp1251", "koi8-r")),
        ("Αυτό είναι ένα απλό ελληνικό κείμενο.", ("cp1253", "iso8859-7")),
        ("זה טקסט פשוט בעברית.", ("cp1255", "iso8859-8")),
        ("هذا نص عربي بسيط.", ("cp1256",)),
        ("To jest zwykły polski tekst, który ktoś napisał.", ("cp1250", "iso8859-2")),
        ("Az alap geometria mező - az OpenGIS Specification Geometry formátumnak", ("cp1250", "iso8859-2")),
        ("Bu sıradan bir Türkçe metindir, değil mi?", ("cp1254",)),  # noqa: RUF001
        ("Šis ir vienkāršs latviešu teksts.", ("cp1257",)),
        ("これは普通の日本語の文章です。", ("shift_jis", "euc-jp")),
        ("这是一个普通的中文句子。", ("gb18030",)),
        ("這是一個普通的中文句子。", ("big5",)),
        ("이것은 평범한 한국어 문장입니다.", ("euc-kr",)),
        ("นี่คือข้อความภาษาไทย", ("cp874",)),
    ],
)
def test_short_texts_of_other_alphabets(text: str, codecs: tuple[str, ...]) -> None:
    assert [decode(text.encode(codec))[0] for codec in codecs] == [text] * len(codecs)


class TestStreaming:
    """The same over a body that is read in blocks, in which every byte has to fit."""

    FAR = b"x\n" * GUESSED_BYTES

    def settled(self, data: bytes, declared: str | None = None) -> tuple[Found, int | None]:
        head, is_whole = data[:GUESSED_BYTES], len(data) <= GUESSED_BYTES
        found, misfit = settle(head, is_whole, lambda: io.BytesIO(data), declared)
        assert settle(head, False, lambda: io.BytesIO(data), declared) == (found, misfit), "the short way leads elsewhere"
        return found, misfit and misfit.at

    @pytest.mark.parametrize(
        ("data", "declared", "charset", "misfit"),
        [
            (b"", None, "utf-8", None),
            (b"caf\xe9", "latin1", "windows-1252", None),
            (FAR + b"caf\xe9", None, "windows-1252", None),
            (FAR + b"caf\xe9 \x81", "utf-8", "windows-1252", None),
            (FAR + "grün".encode() + b"\xff", "utf-8", "utf-8", 131077),
            (FAR + "grün".encode()[:-2], "utf-8", "utf-8", 131074),
            (FAR + "grün".encode()[:-2] + b"n\n", "utf-8", "windows-1252", None),
            (FAR + "新宿".encode("cp932"), "sjis", "shift_jis", None),
            (b"\xef\xbb\xbf" + FAR + b"\xe9", "latin1", "utf-8", 131075),
            ("a\nb".encode("utf-16")[:-1], None, "utf-16le", 6),
            (FAR + b"ann", "x-bogus", "utf-8", None),
            (FAR, "utf-16", "utf-8", None),
        ],
    )
    def test_what_fits(self, data: bytes, declared: str | None, charset: str, misfit: int | None) -> None:
        found, at = self.settled(data, declared)
        assert (found.charset.name, at) == (charset, misfit)

    @given(st.text(), st.integers(1, 8), st.sampled_from([UTF_8, Charset("gbk", "gb18030"), Charset("utf-16le", "utf-16-le")]))
    def test_text_fits_its_own_character_set(self, text: str, size: int, charset: Charset) -> None:
        data = text.encode(charset.codec, "ignore")
        assert fitting(lambda: io.BytesIO(data), charset) is None
        assert fitting(lambda: io.BytesIO(data), WINDOWS_1252) is None
