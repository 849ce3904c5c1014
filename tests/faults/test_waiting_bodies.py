"""Large bodies that wait with their clients while their node stops, or while their graph comes to rest."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

import urllib3

from pypes.testing.destination import Destination
from pypes.testing.node import until
from tests.faults.chaos.node import running

#: Enough for one body: the others wait for their turn.
SETTINGS = {"PYPES_LIMITS_WINDOW_BYTES": "256KiB", "PYPES_LIMITS_SPOOL_BYTES": "4MiB"}
#: Too large to be checked on the event loop.
DOCUMENTS = 40
TEXT = "x" * 4000
POSTERS = 12
DOCUMENT_S = 0.002


class Poster(threading.Thread):
    """Posts batch after batch until one is not accepted, or until it is to stop."""

    def __init__(self, url: str, name: str, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.accepted: list[str] = []
        self.longest_s = 0.0
        self.refusal: int | str = ""
        self._url = url
        self._stop_asked = stop

    def run(self) -> None:
        with urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(60.0)) as http:
            number = 0
            while not self._stop_asked.is_set():
                serials = [f"{self.name}-{number}-{n}" for n in range(DOCUMENTS)]
                body = "\n".join(json.dumps({"id": each, "serial": each, "text": TEXT}) for each in serials)
                began = time.monotonic()
                try:
                    answer = http.request(
                        "POST", self._url + "/docs", body=body, headers={"Content-Type": "application/x-ndjson"}
                    )
                except urllib3.exceptions.HTTPError as error:
                    self.refusal = repr(error)
                    return
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                if answer.status != 202:
                    self.refusal = answer.status
                    return
                self.accepted += serials
                number += 1


def test_those_of_a_node_that_stops_are_answered_and_what_was_accepted_is_published(tmp_path: Path) -> None:
    stop = threading.Event()
    with Destination(tmp_path / "taken.jsonl") as destination:
        destination.delay(0.0, DOCUMENT_S)
        with running(tmp_path / "node", destination, ("plain",), **SETTINGS) as node:
            posters = [Poster(node.url, f"p{n}", stop) for n in range(POSTERS)]
            for poster in posters:
                poster.start()
            until(lambda: sum(len(poster.accepted) for poster in posters) >= 2 * POSTERS * DOCUMENTS, 60, "bodies wait")
            assert node.stop() == 0
            for poster in posters:
                poster.join(60)
        # those that were being answered are told, and who came later found nobody
        refusals = Counter(poster.refusal for poster in posters)
        assert all(refusal == 503 or "NewConnectionError" in str(refusal) for refusal in refusals), refusals
        accepted = Counter(each for poster in posters for each in poster.accepted)
        destination.recover()
        with running(tmp_path / "node", destination, ("plain",), **SETTINGS):
            until(
                lambda: accepted.keys() <= {each["serial"] for batch in destination.batches() for each in batch.documents},
                60,
                "all that was accepted is published",
            )


def test_those_of_a_graph_that_comes_to_rest_are_taken(tmp_path: Path) -> None:
    stop = threading.Event()
    with (
        Destination(tmp_path / "taken.jsonl") as destination,
        running(tmp_path / "node", destination, ("plain",), **SETTINGS) as node,
    ):
        destination.delay(0.0, DOCUMENT_S)
        posters = [Poster(node.url, f"p{n}", stop) for n in range(POSTERS)]
        for poster in posters:
            poster.start()
        until(lambda: all(poster.accepted for poster in posters), 60, "bodies wait")
        destination.refuse()
        stop.set()
        for poster in posters:
            poster.join(30)
        assert not [poster.refusal for poster in posters if poster.is_alive() or poster.refusal]
        destination.recover()
        accepted = {each for poster in posters for each in poster.accepted}
        until(
            lambda: accepted <= {each["serial"] for batch in destination.batches() for each in batch.documents},
            60,
            "all that was accepted is published",
        )
        assert node.stop() == 0
