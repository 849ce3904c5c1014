"""Subtitles."""

from __future__ import annotations

from pypes.testing import ComponentSuite
from pypes_documents.subtitles_adapter import Subtitles

from .reading import outline, read, refused

SRT = """1\r
00:00:01,000 --> 00:00:02,500\r
<i>A loom</i> has\r
a {\\an8}warp\r
\r
2\r
00:00:02,600 --> 00:00:04,000\r
and a weft.\r
\r
3\r
00:01:00,000 --> 00:01:02,000\r
Later.\r
"""
VTT = """WEBVTT - a film

NOTE nobody reads this

STYLE
::cue { color: red }

first
00:01.000 --> 00:02.000 align:start
<v Ada>Cards &amp; threads</v>

00:02.000 --> 00:03.000
<c.loud>Cards</c>

00:03.000 --> 00:04.000
<c.loud>Cards</c>
"""


class TestSubtitles(ComponentSuite):
    component = Subtitles

    def test_subrip(self) -> None:
        assert outline(read(Subtitles, SRT.encode())) == ["paragraph: A loom has a warp and a weft.", "paragraph: Later."]

    def test_webvtt(self) -> None:
        assert outline(read(Subtitles, VTT.encode())) == ["paragraph: Ada: Cards & threads Cards"]

    def test_long_speech_is_parted_at_the_end_of_a_sentence(self) -> None:
        cue = "00:00:0{0},000 --> 00:00:0{0},900\n" + "word " * 60 + "end{1}\n\n"
        data = cue.format(1, "") + cue.format(2, ".") + cue.format(3, ".")
        assert [line.count("end") for line in outline(read(Subtitles, data.encode()))] == [2, 1]

    def test_times_beyond_all_bounds(self) -> None:
        many = "9" * 5000
        assert refused(Subtitles, f"{many}:00:01,000 --> {many}:00:02,500\nx".encode())[0] == "document.malformed"
        assert outline(read(Subtitles, b"999999:99:99.999 --> 999999:99:99.999\nx")) == ["paragraph: x"]

    def test_what_cannot_be_read(self) -> None:
        assert refused(Subtitles, b"text")[0] == "document.malformed"
        assert refused(Subtitles, b"00:00:01,000 --> 00:00:02,500\n\n")[0] == "document.no_text"
