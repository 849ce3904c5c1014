"""Serves the protocol of S3 with ``moto``, a request at a time: what it does under a condition is one step then, as at S3.

``python -m tests.servers.s3_server PORT``. moto itself looks whether a condition is met, puts the content, and then the metadata,
while other threads do the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from threading import Lock
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple


class OneByOne:
    """An application that answers one request after the other; the body is read before the turn begins."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._turn = Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._turn:
            return list(self._app(environ, start_response))


if __name__ == "__main__":
    app = OneByOne(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True, request_handler=MotoRequestHandler)
