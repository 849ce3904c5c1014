"""A model of sentence transformers for tests: real files of ONNX and tokenizers, for a language of a few words."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.needed import library

#: The state of each word; a text's is their mean.
STATES = {"[UNK]": [1.0, 0.0], "looms": [3.0, 4.0], "weave": [0.0, 5.0], "nothing": [0.0, 0.0], "query": [-5.0, 0.0]}


def make_model(
    folder: Path, *, name: str = "last_hidden_state", inputs: tuple[str, ...] = (), configs: Any = MappingProxyType({})
) -> Path:
    """Write a model with one output to a folder, and values of JSON to the files beside it that ``configs`` names."""
    onnx = library("onnx", "pypes-server[test]")
    tokenizers = library("tokenizers", "pypes-text[onnx]")
    library("onnxruntime", "pypes-text[onnx]")
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: n for n, word in enumerate(STATES)}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    helper, types = onnx.helper, onnx.TensorProto
    table = helper.make_tensor("table", types.FLOAT, [len(STATES), 2], [n for state in STATES.values() for n in state])
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], [name])],
        "model",
        [
            helper.make_tensor_value_info(each, types.INT64, ["texts", "tokens"])
            for each in ("input_ids", "attention_mask", "token_type_ids", *inputs)
        ],
        [helper.make_tensor_value_info(name, types.FLOAT, ["texts", "tokens", 2])],
        [table],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for file, config in configs.items():
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(config))
    return folder
