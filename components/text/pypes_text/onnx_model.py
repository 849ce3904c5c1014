"""Models of sentence transformers in the form of ONNX, in a folder as they are published."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from pypes import Reject
from pypes.errors import ComponentError

INSTALL: Final = "pip install 'pypes-text[onnx]'"
#: Environment variable: the folder that the folders of models are in, for questions to an index.
MODELS: Final = "PYPES_MODELS"
#: Tokens that a model takes if its files do not say so: those of BERT.
_TOKENS: Final = 512


class Embedded(NamedTuple):
    """A vector of length 1, and whether the end of the text was too much for the model."""

    vector: list[float]
    is_cut: bool


class OnnxModel:
    """A model and its tokenizer: ``model.onnx`` (or ``onnx/model.onnx``) and ``tokenizer.json``.

    Files of sentence-transformers beside them say how many tokens it takes (``sentence_bert_config.json``), whether the vector is
    the mean of those of the tokens or the first (``1_Pooling/config.json``), and what is written in front of texts and questions
    (``config_sentence_transformers.json``). Without them it is as many as the tokenizer says, or 512; the mean; and nothing.
    """

    def __init__(self, folder: str, threads: int = 1) -> None:
        """Raises ``ComponentError`` if a library is missing, or there is no such model in the folder."""
        try:
            import numpy
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ComponentError(f"{error}: {INSTALL}", code="embed.model") from error
        files = Path(folder)
        path = next((file for file in (files / "model.onnx", files / "onnx" / "model.onnx") if file.is_file()), None)
        if path is None:
            raise ComponentError(f"there is no model.onnx in {folder}; export the model to ONNX there", code="embed.model")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            tokenizer: Any = Tokenizer.from_file(str(files / "tokenizer.json"))
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the libraries raise nothing more special
            raise ComponentError(f"the model in {folder} cannot be read: {error}", code="embed.model") from error
        self._inputs: set[str] = {each.name for each in self._session.get_inputs()}
        self._output: str = self._session.get_outputs()[0].name
        if strange := self._inputs - {"input_ids", "attention_mask", "token_type_ids"}:
            names = ", ".join(sorted(strange))
            raise ComponentError(f"the model in {folder} is none of texts: it asks for {names}", code="embed.model")
        said = tokenizer.truncation or {}
        most = _config(files / "sentence_bert_config.json").get("max_seq_length") or said.get("max_length") or _TOKENS
        tokenizer.enable_truncation(most)
        tokenizer.no_padding()
        self._is_first = bool(_config(files / "1_Pooling" / "config.json").get("pooling_mode_cls_token"))
        prompts = _config(files / "config_sentence_transformers.json").get("prompts") or {}
        self._before = prompts.get("document") or prompts.get("passage") or ""
        self._before_questions = prompts.get("query") or ""
        self._encode: Callable[[str], Any] = tokenizer.encode
        self._numpy: Any = numpy

    def embed(self, text: str) -> Embedded:
        """The vector of a text of a document, in numbers of six digits. Raises ``Reject`` if the model gives none."""
        return self._embed(self._before + text)

    def embed_questions(self, texts: list[str]) -> list[list[float]]:
        """The vectors of questions."""
        return [self._embed(self._before_questions + text).vector for text in texts]

    def _embed(self, text: str) -> Embedded:
        # each text by itself: in a batch, numbers of models in 8 bits depend on the others, and padding costs what is saved
        np = self._numpy
        found = self._encode(text.encode("utf-8", "replace").decode())
        given = {"input_ids": found.ids, "attention_mask": found.attention_mask, "token_type_ids": found.type_ids}
        asked = {name: np.array([given[name]], dtype=np.int64) for name in self._inputs}
        [states] = self._session.run([self._output], asked)
        if states.ndim == 3:
            states = states[:, 0] if self._is_first else states.mean(axis=1)
        [state] = states
        length = float(np.linalg.norm(state))
        if not length or not math.isfinite(length):
            raise Reject(f"the model gives no vector for this text: {text[:40]!r}", "embed.wrong")
        return Embedded(np.round((state / length).astype(np.float64), 6).tolist(), bool(found.overflowing))


def embedder_for(model: str) -> Callable[[list[str]], list[list[float]]] | None:
    """A function that embeds questions by the model of that name below the folder ``$PYPES_MODELS``; ``None`` if it is not there.

    Raises ``ComponentError`` if it cannot be read.
    """
    folder = os.environ.get(MODELS, "")
    # who publishes to an index may say any name
    if not folder or model in ("", "..") or Path(model).name != model or not Path(folder, model).is_dir():
        return None
    return OnnxModel(str(Path(folder, model))).embed_questions


def _config(path: Path) -> dict[str, Any]:
    """An object of JSON in a file, empty if there is no file."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ComponentError(f"{path} is no JSON: {error}", code="embed.model") from error
    return found if isinstance(found, dict) else {}
