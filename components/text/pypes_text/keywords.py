"""Keywords: the words and phrases that a text is about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Final

from pypes import Example, Extractor, Help, Packet, Parameters
from pypes_text.stop_words import ALL_STOP_WORDS, STOP_WORDS

_TOKEN: Final = re.compile(r"[^\W_](?:[\w'’-]{0,40}[^\W_])?|[^\w\s]|\n")  # noqa: RUF001
#: A longer text is looked at to here; what it is about comes before.
_MOST_CHARS: Final = 1_000_000
_MOST_WORDS: Final = 3


class Keywords(Extractor):
    """Write the words and phrases that a text says more often than others, and that are no stop words: the best first.

    Phrases of up to three words stand between stop words and punctuation (as in RAKE). One counts by how often it comes, and more
    if it is long. It is a matter of counting alone: short texts have poor keywords. Stop words are those of the language
    in field ``language``, for Dutch, English, French, German, Italian, Portuguese and Spanish; or else of all of these.

    Keywords that the document has of its own stay, and nothing is added to them unless ``add`` says so.
    """

    icon = "tags"
    tags = ("text", "keywords")
    example = Example(
        takes=Packet(
            {"text": "The punched card drives the loom. A punched card has holes. Holes lift threads.", "language": "en"}
        ),
        gives=Packet(
            {
                "text": "The punched card drives the loom. A punched card has holes. Holes lift threads.",
                "language": "en",
                "keywords": ["punched card", "holes"],
            }
        ),
    )

    class Params(Parameters):
        field: Annotated[str, Help("Field with the text.", min_length=1)] = "text"
        target: Annotated[str, Help("Field for the keywords.", min_length=1)] = "keywords"
        most: Annotated[int, Help("Most keywords that are found.", ge=1, le=1000)] = 10
        times: Annotated[int, Help("A keyword comes so many times at least.", ge=1)] = 2
        add: Annotated[bool, Help("Add to the keywords that the document has.")] = False

    def process(self, packet: Packet) -> Packet:
        params = self.params
        text, before = packet.get(params.field), packet.get(params.target)
        if not isinstance(text, str) or (before and not params.add):
            return packet
        language = packet.get("language")
        stop_words = STOP_WORDS.get(language[:2].lower(), ALL_STOP_WORDS) if isinstance(language, str) else ALL_STOP_WORDS
        found = keywords(text[:_MOST_CHARS], stop_words, params.most, params.times)
        former = before if isinstance(before, list) else [before] if before else []
        known = {str(word).casefold() for word in former}
        if new := [word for word in found if word.casefold() not in known]:
            packet.set(params.target, [*former, *new], multi=True)
        return packet


def keywords(text: str, stop_words: frozenset[str], most: int, times: int) -> list[str]:
    """The best words and phrases, in the form in which they come most often."""
    counts: Counter[tuple[str, ...]] = Counter()
    forms: dict[tuple[str, ...], Counter[str]] = {}
    for run in _runs(text, stop_words):
        for length in range(1, _MOST_WORDS + 1):
            for at in range(len(run) - length + 1):
                words = run[at : at + length]
                key = tuple(word.casefold() for word in words)
                counts[key] += 1
                forms.setdefault(key, Counter())[" ".join(words)] += 1
    scores = {
        key: count * len(key) ** 1.5 for key, count in counts.items() if count >= times and any(len(word) > 2 for word in key)
    }
    chosen: list[tuple[str, ...]] = []
    # ties in the order of the text
    for key in sorted(scores, key=scores.__getitem__, reverse=True):
        # what comes as a part of a chosen phrase for the most part says nothing more, and nor does what only makes one longer
        if not any((_contains(other, key) and counts[key] < 2 * counts[other]) or _contains(key, other) for other in chosen):
            chosen.append(key)
            if len(chosen) == most:
                break
    return [forms[key].most_common(1)[0][0] for key in chosen]


def _contains(outer: tuple[str, ...], inner: tuple[str, ...]) -> bool:
    return any(outer[n : n + len(inner)] == inner for n in range(len(outer) - len(inner) + 1))


def _runs(text: str, stop_words: frozenset[str]) -> Iterator[list[str]]:
    """Words one behind the other, without stop words, numbers and punctuation between them."""
    run: list[str] = []
    for found in _TOKEN.finditer(text):
        word = found.group()
        if word[0].isalpha() and len(word) > 1 and word.casefold() not in stop_words:
            run.append(word)
        elif run:
            yield run
            run = []
    if run:
        yield run
