"""An instance under test: a forked process that publishes the deliveries it is given, and says when."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from pypes import Pipeline
from pypes.component import Component
from pypes.testing.posts import Post, Splitting
from pypes.testing.stage import watch

#: A delivery: its receipt, and for each document its id and the number of its parts, -1 for a deletion.
Delivery = tuple[int, list[tuple[str, int]]]


def work(make: Callable[[], Component], parent: Connection) -> None:
    """Publish what the parent sends, a run and a delivery each; tells it of each step, and of the end.

    Ends with the parent, and does nothing at its end that is the parent's to do.
    """
    try:
        publisher = make()
        watch(publisher, parent.send)
        nodes = {"split": Splitting(), "publisher": publisher}
        with Pipeline(nodes=nodes, wires=[("split.out", "publisher.in")]) as pipeline:
            while True:
                run, (receipt, documents) = parent.recv()
                posts = [post(receipt, run, index, *document) for index, document in enumerate(documents)]
                pipeline.push([each.packet(fields) for each in posts])
                parent.send(f"failed: {pipeline.dead_letters[0]}" if pipeline.dead_letters else "done")
    except EOFError:
        os._exit(0)
    except BaseException as error:
        parent.send(f"failed: {error!r}")
        os._exit(1)


def post(receipt: int, run: int, index: int, id: str, parts: int) -> Post:
    """A version of a document."""
    if parts < 0:
        return Post(receipt, is_deletion=True, id=id, run=run, index=index)
    return Post(receipt, tuple(f"row={n}" for n in range(1, parts + 1)), id=id, run=run, index=index)


def fields(text: str) -> dict[str, Any]:
    return {"text": f"word {text}", "said": text, "vector": [1.0, float(len(text))]}
