"""Embed: static vectors of texts, without a network and without a large model."""

from __future__ import annotations

from typing import Annotated

from pypes import Example, Help, Packet, Parameters, Transformer
from pypes_text.static_vectors import DIMS, INSTALL, StaticVectors, model_of
from pypes_text.vectors import Fields, Target, put_vector, text_of


class Embed(Transformer):
    """Add the vector of a text: 256 dimensions, length 1, of a small table of words that is installed with the library.

    It needs no network, some 70 MB of memory in each process, and a tenth of a millisecond for a paragraph. The vector is the
    mean of the vectors of the words, so it finds texts about the same things in other words, and is good beside a full-text
    search. It knows nothing of the order of words, little of languages other than English, and makes no fine distinctions:
    EmbedRemote does. Questions to an index of these vectors are embedded alike wherever this distribution is installed.

    Texts are best some hundred to two thousand characters long: put Chunk before it. A packet without text is a dead letter
    (``document.no_text``), and so is one above ``longest`` characters (``embed.too_long``), or without a word that has a vector
    (``embed.no_words``). Deletions pass.
    """

    icon = "waypoints"
    tags = ("text", "embedding", "search")
    needs = {"wordllama": INSTALL, "numpy": INSTALL, "safetensors": INSTALL, "tokenizers": INSTALL}
    example = Example(
        takes=Packet({"text": "Cards choose the threads of the warp."}),
        gives=Packet({"text": "Cards choose the threads of the warp.", "vector": [[-0.587814, -0.110042, 0.801477]]}),
        params={"dims": 3},
    )

    batch_size = 64

    class Params(Parameters):
        fields: Fields = ["text"]
        target: Target = "vector"
        dims: Annotated[int, Help("Dimensions of the vectors; fewer take less room and find less.", ge=1, le=DIMS)] = DIMS
        longest: Annotated[int, Help("Longest text, in characters.", ge=1, le=10_000_000)] = 100_000

    def setup(self) -> None:
        self._model = self.shared(StaticVectors)

    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        params = self.params
        documents = [packet for packet in packets if not packet.is_deletion]
        texts = [text_of(packet, params.fields, params.longest) for packet in documents]
        for packet, vector in zip(documents, self._model.embed(texts, params.dims), strict=True):
            put_vector(packet, params.target, vector, model_of(params.dims))
        return packets
