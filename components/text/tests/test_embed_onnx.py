"""EmbedONNX: vectors of a model in a folder, in a pool, and of questions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet, Pipeline
from pypes.testing import run_component
from pypes_text.embed_onnx import EmbedONNX
from pypes_text.onnx_model import INSTALL, OnnxModel, embedder_for

from .models import make_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "few-words")


def vectors(folder: Path, *texts: Any) -> list[list[float]]:
    result = run_component(EmbedONNX, [Packet({"text": text}) for text in texts], folder=str(folder))
    assert not result.dead_letters
    return [packet["vector"] for packet in result.packets]


def configured(folder: Path) -> EmbedONNX:
    component = EmbedONNX()
    component.configure({"folder": str(folder)})
    return component


def test_a_vector_is_the_mean_of_the_tokens_with_length_1(model: Path) -> None:
    assert vectors(model, "looms", "looms weave", "looms \ud83d") == [[0.6, 0.8], [0.316228, 0.948683], [0.707107, 0.707107]]


def test_field_and_metadata(model: Path) -> None:
    packet = Packet({"title": "looms", "text": "weave"})
    [found] = run_component(EmbedONNX, [packet], folder=str(model), fields=["title", "text"], target="v").packets
    assert not found.is_multivalued("v")
    assert (found.get_meta("model", "v"), found.get_meta("dims", "v")) == ("few-words", 2)


def test_files_beside_the_model_say_how_it_is_used(tmp_path: Path) -> None:
    folder = make_model(
        tmp_path / "m",
        name="token_embeddings",
        configs={
            "1_Pooling/config.json": {"pooling_mode_cls_token": True},
            "sentence_bert_config.json": {"max_seq_length": 3},
            "config_sentence_transformers.json": {"prompts": {"query": "query ", "document": "weave "}},
        },
    )
    assert vectors(folder, "looms") == [[0.0, 1.0]]
    assert OnnxModel(str(folder)).embed_questions(["looms"]) == [[-1.0, 0.0]]
    with Pipeline(nodes={"embed": configured(folder)}) as pipeline:
        pipeline.push([Packet({"text": "looms " * 2}), Packet({"text": "looms " * 3})])
        assert pipeline.counts["embed"] == {"cut": 1}


def test_what_has_no_vector_fails_alone(model: Path) -> None:
    packets = [Packet({"text": text}) for text in ("looms", "", "nothing", "x" * 41, "weave")]
    packets.append(Packet({}, {"id": "1", "requestmethod": "DELETE"}))
    result = run_component(EmbedONNX, packets, folder=str(model), longest=40)
    assert [letter.code for letter in result.dead_letters] == ["document.no_text", "embed.wrong", "embed.too_long"]
    assert len(result.packets) == 3


def test_a_pool_has_the_model_for_all(model: Path) -> None:
    with Pipeline(nodes={"embed": configured(model)}, pools={"embed": {"processes": 1}}) as pipeline:
        found = pipeline.push([Packet({"text": text}) for text in ("looms", "weave")])
        assert [packet["vector"] for packet in found] == [[0.6, 0.8], [0.0, 1.0]]
        assert not pipeline.dead_letters


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "model.onnx").unlink(), r"no model\.onnx in"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"none"), "cannot be read"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "cannot be read"),
        (lambda folder: (folder / "sentence_bert_config.json").write_text("{"), "is no JSON"),
        (lambda folder: make_model(folder, inputs=("pixels",)), "none of texts: it asks for pixels"),
    ],
)
def test_a_folder_without_such_a_model_is_told(tmp_path: Path, change: Any, said: str) -> None:
    folder = make_model(tmp_path / "m")
    change(folder)
    with pytest.raises(Exception, match=said):
        run_component(EmbedONNX, [], folder=str(folder))


@pytest.mark.parametrize("missing", ["numpy", "onnxruntime", "tokenizers"])
def test_without_the_extra_the_reader_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, model: Path, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(Exception, match=missing) as raised:
        OnnxModel(str(model))
    assert INSTALL in str(raised.value)


def test_questions_are_embedded_by_the_model_of_that_name(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    assert embedder_for("few-words") is None
    monkeypatch.setenv("PYPES_MODELS", str(model.parent))
    for strange in ("other", "", ".", "..", "../models", f"{model}", "few-words/"):
        assert embedder_for(strange) is None
    embed = embedder_for("few-words")
    assert embed is not None
    assert embed(["looms", "weave"]) == [[0.6, 0.8], [0.0, 1.0]]


def test_an_index_is_asked_by_meaning(monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path) -> None:
    graph = {
        "pypes": 1,
        "name": "meaning",
        "nodes": {
            "json": {"component": "JSON"},
            "embed": {"component": "EmbedONNX", "params": {"folder": str(model)}, "pool": {"processes": 1}},
            "index": {"component": "SQLiteSearch", "params": {"path": str(tmp_path / "search.db")}},
        },
        "wires": [["json.out", "embed.in"], ["embed.out", "index.in"]],
    }
    (tmp_path / "meaning.json").write_text(json.dumps(graph))
    documents = [{"id": "a", "text": "weave it, and looms as well"}, {"id": "b", "text": "nothing weave"}]
    (tmp_path / "documents.json").write_text(json.dumps(documents))
    monkeypatch.setenv("PYPES_MODELS", str(model.parent))
    run(tmp_path, "run", "meaning.json", "documents.json")
    [first, second] = map(json.loads, run(tmp_path, "search", "search.db", "weave", "--json").splitlines())
    assert (first["id"], first["ranks"]) == ("b", {"words": 1, "vector": 1})
    assert (second["id"], second["ranks"]) == ("a", {"words": 2, "vector": 2})


def run(folder: Path, *words: str) -> str:
    ran = subprocess.run([sys.executable, "-m", "pypes", *words], cwd=folder, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
