"""EmbedONNX: vectors of a model of sentence transformers, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pypes import Example, Help, Packet, Parameters, Transformer
from pypes_text.onnx_model import INSTALL, OnnxModel
from pypes_text.vectors import Fields, Target, put_vector, text_of


class EmbedONNX(Transformer):
    """Add the vector of a text, which a model of sentence transformers in the form of ONNX makes on this machine.

    ``folder`` has ``model.onnx`` (or ``onnx/model.onnx``) and ``tokenizer.json``, as such models are published; its name is the
    name of the model. Nothing is downloaded. Vectors are those of sentence-transformers, of length 1. They make finer
    distinctions than those of Embed, and take some ten to a hundred milliseconds for a paragraph.

    Run it in a pool, so that the model is in memory once: ``"pool": {"processes": 1}``. Questions to an index of these vectors
    are embedded alike where the environment variable ``PYPES_MODELS`` names the folder that ``folder`` is in.

    A text that is longer than the model takes is embedded as far as that goes, and counted (``cut``): put Chunk before it. A
    packet without text is a dead letter (``document.no_text``), and so is one of more than ``longest`` characters
    (``embed.too_long``), or one that the model gives no vector for (``embed.wrong``). Deletions pass.
    """

    icon = "waypoints"
    tags = ("text", "embedding", "search")
    needs = {"onnxruntime": INSTALL, "tokenizers": INSTALL, "numpy": INSTALL}
    #: ``${MODEL}`` is a folder with a model whose vectors have two dimensions.
    example = Example(
        params={"folder": "${MODEL}"},
        takes=Packet({"text": "looms"}),
        gives=Packet({"text": "looms", "vector": [[0.6, 0.8]]}),
    )

    class Params(Parameters):
        folder: Annotated[str, Help("Folder with the model.", min_length=1, path=True)]
        fields: Fields = ["text"]
        target: Target = "vector"
        longest: Annotated[int, Help("Longest text, in characters.", ge=1, le=10_000_000)] = 100_000
        threads: Annotated[int, Help("Threads that work on one text.", ge=1, le=256)] = 1

    def setup(self) -> None:
        folder = Path(self.data_dir, self.params.folder)
        self._model = self.shared(OnnxModel, str(folder), self.params.threads)
        self._name = folder.resolve().name

    def process(self, packet: Packet) -> Packet:
        if packet.is_deletion:
            return packet
        found = self._model.embed(text_of(packet, self.params.fields, self.params.longest))
        if found.is_cut:
            self.count("cut")
        put_vector(packet, self.params.target, found.vector, self._name)
        return packet
