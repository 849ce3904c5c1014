"""The spoken text of subtitles (SubRip, WebVTT), without times and markup."""

from __future__ import annotations

import html
import re
from typing import Final

from pypes import Packet, Reject
from pypes_documents.job import MALFORMED, Job, finish
from pypes_documents.plain import plain_text

_TIME: Final = r"(?:(\d{1,6}):)?(\d\d?):(\d\d)[.,](\d{1,3})"
_CUE: Final = re.compile(rf"^[ \t]*{_TIME}[ \t]*-->[ \t]*{_TIME}[^\n]*$", re.MULTILINE | re.ASCII)
_MARKUP: Final = re.compile(r"<[^<>\n]*>|\{\\[^{}\n]*\}")
_SPEAKER: Final = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>")
#: Seconds of silence that end a paragraph, and characters after which the end of a sentence does.
_PAUSE_S: Final = 4.0
_LONG: Final = 400
_ENDS: Final = (".", "!", "?", "…", '."', "\u3002", "\uff01", "\uff1f")


def read(packet: Packet, job: Job) -> None:
    """Fill a packet with the text of subtitles; sentences that go on in the next cue are put together."""
    source = plain_text(job.take_text(packet).replace("\r\n", "\n"))
    cues = list(_CUE.finditer(source))
    if not cues:
        raise Reject("there are no subtitles in it: no line has two times with --> between them", MALFORMED)
    text = job.text()
    lines: list[str] = []
    ended_s = 0.0
    for number, cue in enumerate(cues):
        end = cues[number + 1].start() if number + 1 < len(cues) else len(source)
        spoken = _spoken(source[cue.end() : end])
        begun_s = _seconds(cue.groups()[:4])
        is_long = sum(map(len, lines)) > _LONG and lines[-1].endswith(_ENDS)
        if lines and (begun_s - ended_s > _PAUSE_S or is_long):
            text.add(" ".join(lines))
            lines = []
        ended_s = _seconds(cue.groups()[4:])
        if spoken and spoken not in lines[-1:]:
            lines.append(spoken)
    text.add(" ".join(lines))
    finish(packet, text, {}, empty="the subtitles have no text")


def _spoken(body: str) -> str:
    """The text of a cue; the paragraph behind it belongs to the next one, as its number or name does."""
    content = body.lstrip("\n").partition("\n\n")[0]
    return " ".join(html.unescape(_MARKUP.sub("", _SPEAKER.sub(r"\1: ", content))).split())


def _seconds(time: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, part = time
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{part}")
