"""Static vectors: texts of 660 characters through Embed, against the tokenizer and the table in a loop."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.documents import PROSE
from benchmarks.load import Skipped
from benchmarks.report import Line
from pypes import Packet, Pipeline
from pypes_text.embed import Embed

ROUNDS = 7
CHARACTERS = 660
BATCH = 64
TEXTS = [PROSE[at : at + CHARACTERS] for at in range(0, len(PROSE) - CHARACTERS, CHARACTERS)]


def loop() -> Callable[[list[str]], None]:
    """What a user writes: the mean of the rows of the table, made a vector of length 1 and a list."""
    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise Skipped("wordllama is not installed: pip install 'pypes-text[static]'")
    import numpy as np
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = Path(spec.origin).parent
    tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    table = load_file(folder / "weights" / "l2_supercat_256.safetensors")["embedding.weight"].astype(np.float32)

    def embed(texts: list[str]) -> None:
        for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            mean = table[found.ids].mean(axis=0)
            (mean / np.linalg.norm(mean)).tolist()

    return embed


def seconds(embed: Callable[[list[str]], object], size: int) -> float:
    """Processor time for all texts, in batches of ``size``."""
    start = time.process_time()
    for at in range(0, len(TEXTS), size):
        embed(TEXTS[at : at + size])
    return time.process_time() - start


def lines() -> Iterator[Line]:
    library = loop()
    # one by one the way of a packet through a pipeline, a tenth of a millisecond, is a third of what a text takes
    for size, name, must in ((BATCH, f"in batches of {BATCH}", 1.15), (1, "one by one", 1.5)):
        rounds = []
        for _ in range(ROUNDS):
            # in each round Embed sees these texts for the first time
            with Pipeline(Embed) as pipeline:
                pipeline.push([Packet({"text": "loom"})])
                rounds.append((seconds(library, size), seconds(lambda texts: pipeline.push(_packets(texts)), size)))
        there, here = (statistics.median(side) / len(TEXTS) for side in zip(*rounds, strict=True))
        yield Line(
            f"embedding: texts of {CHARACTERS} characters through Embed, {name}, against its table in a loop: processor time",
            f"{here * 1e6:,.0f} µs against {there * 1e6:,.0f} µs a text",
            statistics.median(mine / other for other, mine in rounds),
            must=must,
            stretch=must - 0.35,
        )


def _packets(texts: list[str]) -> list[Packet]:
    return [Packet({"text": text}) for text in texts]
