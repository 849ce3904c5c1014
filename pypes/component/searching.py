"""Searching: what ``GET /search`` asks a publisher that can be searched."""

from __future__ import annotations

from dataclasses import dataclass

from pypes.errors import BadRequest


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A question to a publisher's destination.

    ``after`` is the number of hits to pass over. ``filters`` are conditions such as ``language=de`` or ``created>=2026-01-01``,
    which have to hold. Only documents without access list, or with one that names one of ``principals``, may be found.
    With ``any_word`` it is enough that one of the words is there, as in a question. With ``group``, each document is one hit,
    however many of its parts match. After ``timeout_s`` the search gives up. Raises ``BadRequest`` for text that is no Unicode.
    """

    text: str
    limit: int = 10
    after: int = 0
    route: str | None = None
    filters: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    any_word: bool = False
    group: bool = False
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        given = {"the question": (self.text,), "the route": (self.route or "",), "a filter": self.filters}
        for name, texts in {**given, "a principal": self.principals}.items():
            try:
                "".join(texts).encode()
            except UnicodeEncodeError as error:
                raise BadRequest(
                    f"{name} holds half a surrogate pair, which is no character; is it text in UTF-8?", code="search.bad_text"
                ) from error
