"""The other side of ``real_work``: what one would write with Falcon and Celery."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import falcon
from celery import Celery

from benchmarks.real_work import work
from pypes_search.index import SearchIndex

tasks = Celery("bench", broker=os.environ["BENCH_REDIS"])
tasks.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=4,
    task_serializer="pickle",
    accept_content=["pickle"],
    broker_connection_retry_on_startup=True,
)
_index: list[SearchIndex] = []


def index(documents: list[tuple[str, str, bytes]]) -> None:
    """Index the files of one POST in one transaction, as the graph does with a wave."""
    if not _index:
        _index.append(SearchIndex(Path(os.environ["BENCH_INDEX"]), "never"))
    _index[0].apply([work(document) for document in documents])


queued: Any = tasks.task(index)


class Docs:
    """Takes a multipart form and queues its files as one task."""

    def __init__(self, task: Any) -> None:
        self._task = task

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        documents: list[Any] = []
        for part in req.get_media():
            documents.append((part.filename, part.content_type, part.get_data()))
        self._task.delay(documents)
        resp.status = falcon.HTTP_202
        resp.media = {"accepted": len(documents)}


def front(task: Any) -> falcon.App[falcon.Request, falcon.Response]:
    """What takes the POSTs of a task."""
    made = falcon.App()
    forms = made.req_options.media_handlers[falcon.MEDIA_MULTIPART]
    assert isinstance(forms, falcon.media.MultipartFormHandler)
    forms.parse_options.max_body_part_buffer_size = 1 << 24
    forms.parse_options.max_body_part_count = 0
    made.add_route("/docs", Docs(task))
    return made


web = front(queued)
