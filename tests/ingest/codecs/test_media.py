import pytest

from pypes.errors import UnsupportedMedia
from pypes.ingest.codecs.media import match, parse


@pytest.mark.parametrize(
    ("accepts", "media_type", "expected"),
    [
        (("text/html",), "text/html", 4),
        (("*/*", "text/*"), "text/html", 2),
        (("*/*",), "text/html", 1),
        (("application/json",), "application/ld+json", 3),
        (("application/json",), "application/vnd.pypes.packets+json", 0),
        (("text/csv",), "text/html", 0),
        ((), "text/html", 0),
    ],
)
def test_the_most_specific_pattern_counts(accepts: tuple[str, ...], media_type: str, expected: int) -> None:
    assert match(accepts, media_type) == expected


def test_parameters_are_kept_apart() -> None:
    media = parse('Text/HTML; Charset="iso-8859-1" ; x=y')
    assert media.type == "text/html"
    assert dict(media.parameters) == {"charset": "iso-8859-1", "x": "y"}
    assert parse("").type == "application/octet-stream"
    assert parse("a/b; filename*=UTF-8''na%C3%AFve; filename=naive").parameters["filename"] == "naïve"


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("''na%C3%AFve", "naïve"),
        ("utf-8'en'na%C3%AFve", "naïve"),
        ("ISO-8859-1''na%EFve%80", "naïve€"),
        ("utf-8''%ff", "\ufffd"),
        ("utf-7''%2BADw-", "plain"),
        ("unicode_escape''%5Cx41", "plain"),
        ("idna''%ff", "plain"),
        ("punycode''%ff", "plain"),
        ("undefined''%ff", "plain"),
        ("rot13''a", "plain"),
    ],
)
def test_parameters_in_character_sets_of_their_own(value: str, meant: str) -> None:
    assert parse(f"a/b; x*={value}; x=plain").parameters["x"] == meant


@pytest.mark.parametrize("content_type", ["html", "/", "text/", "*/*", "application/x-www-form-urlencoded"])
def test_what_is_no_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        parse(content_type)
