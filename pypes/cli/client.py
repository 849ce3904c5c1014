"""Common parts of the commands that talk to a running node: its address, the token, and its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import click
import orjson
import urllib3
from rich.console import Console
from rich.table import Table

from pypes.cli.feeding.asking import reason_of, token_of
from pypes.core.trust import trusted, unreached
from pypes.errors import InvalidInput, Unavailable

F = TypeVar("F", bound=Callable[..., Any])

#: Entries that are asked for at a time.
PAGE = 500

#: Width of tables where nobody knows it: ids must be whole, since they are what is copied.
WIDTH = 200


class Client:
    """Asks one node. Blocks; raises ``InvalidInput`` for what it refuses, ``Unavailable`` if it cannot be reached."""

    def __init__(self, url: str, token_file: Path | None, ca_file: Path | None = None) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InvalidInput(f"{url!r} is not the address of a server; give one like http://127.0.0.1:8080", code="client.url")
        self._server = f"{parts.scheme}://{parts.netloc}"
        token = token_of(token_file)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._trusted = trusted(ca_file)
        self._http = self._pool(urllib3.Timeout(connect=10, read=120))

    def _pool(self, timeout: urllib3.Timeout) -> urllib3.PoolManager:
        return urllib3.PoolManager(retries=False, timeout=timeout, ssl_context=self._trusted)

    def hurry(self, seconds: float) -> None:
        """Wait for an answer no longer than this, from now on."""
        self._http.clear()
        self._http = self._pool(urllib3.Timeout(seconds))

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON value of a successful answer, ``None`` if it has no body. ``None`` in ``query`` means not given."""
        fields = {**({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})}
        answer = self._answer(method, path, query or {}, fields, body=None if body is None else orjson.dumps(body))
        try:
            return orjson.loads(answer.data) if answer.data else None
        except orjson.JSONDecodeError:
            raise self._stranger(answer) from None

    def open(self, path: str, query: Mapping[str, Any], headers: Mapping[str, str], media: str) -> urllib3.BaseHTTPResponse:
        """A successful answer in a media type, which is read as it comes; close it."""
        answer = self._answer("GET", path, query, {**headers, "Accept": media}, preload_content=False)
        if answer.headers.get("content-type", "").partition(";")[0].strip() != media:
            answer.close()
            raise self._stranger(answer)
        return answer

    def _stranger(self, answer: urllib3.BaseHTTPResponse) -> InvalidInput:
        what = answer.headers.get("content-type") or "no content type"
        return InvalidInput(
            f"{self._server} answers as no node of Pypes does, with {what}; compare the address", code="client.no_node"
        )

    def _answer(
        self, method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str], **options: Any
    ) -> urllib3.BaseHTTPResponse:
        given = {name: value for name, value in query.items() if value is not None}
        url = self._server + quote(path) + (f"?{urlencode(given)}" if given else "")
        try:
            answer = self._http.request(method, url, headers={**self._headers, **headers}, **options)
            if answer.status >= 300:
                _ = answer.data  # reads the reason, where it was not read yet
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"{self._server} cannot be reached: {unreached(error)}", code="client.unreachable") from error
        if answer.status == 503:
            raise Unavailable(reason_of(answer), code="client.refused")
        if answer.status == 401:
            told = f"{reason_of(answer)}; commands take the token from --token-file FILE or PYPES_TOKEN"
            raise InvalidInput(told, code="client.refused")
        if answer.status >= 300:
            raise InvalidInput(reason_of(answer), code="client.refused")
        return answer

    def pages(
        self, path: str, query: Mapping[str, Any], name: str, limit: int, after: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Up to ``limit`` entries of a list, page by page; ``name`` is the list's key in the answer."""
        while limit > 0:
            page = self.ask("GET", path, {**query, "limit": min(limit, PAGE), "after": after})
            yield from page[name]
            limit -= len(page[name])
            after = page["next"]
            if after is None:
                return


#: ``--ca-file`` of a command that asks a node.
ca_file_option = click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the certificates to trust for https, the node's own or its issuer's; by default PYPES_CA_FILE.",
)


def node_options(command: F) -> F:
    """``--url``, ``--ca-file``, ``--token-file`` and ``--json`` of a command, which gets ``client`` and ``as_json`` for them."""

    def with_client(url: str, ca_file: Path | None, token_file: Path | None, **arguments: Any) -> Any:
        return command(client=Client(url, token_file, ca_file), **arguments)

    with_client.__name__ = command.__name__
    with_client.__doc__ = command.__doc__
    with_client.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text."),
        click.option(
            "--token-file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="File that holds the bearer token; by default PYPES_TOKEN holds the token.",
        ),
        ca_file_option,
        click.option(
            "--url", envvar="PYPES_URL", default="http://127.0.0.1:8080", show_default=True, help="Address of the node."
        ),
    ):
        with_client = option(with_client)
    return with_client  # type: ignore[return-value]


def oldest_first(command: F) -> F:
    """``--oldest-first`` of a command that lists what comes; it gets ``is_oldest_first`` for it."""
    return click.option("--oldest-first", "is_oldest_first", is_flag=True, help="List the oldest first instead of the newest.")(
        command
    )


def print_json(value: Any) -> None:
    """A JSON value on standard output, indented."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def print_table(columns: Mapping[str, Callable[[dict[str, Any]], Any]], rows: list[dict[str, Any]]) -> None:
    """Rows as a table: heading → what of a row stands below it. The first column is never cut."""
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=WIDTH)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, heading in enumerate(columns):
        table.add_column(heading, no_wrap=not position, overflow="fold" if position else "ignore")
    for row in rows:
        table.add_row(*(_cell(show(row)) for show in columns.values()))
    with console.capture() as capture:
        console.print(table, highlight=False, markup=False)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def _cell(value: Any) -> str:
    return "" if value is None else printable(str(value))


def printable(text: str) -> str:
    """A text without line ends, and without what a terminal would take for commands: it came with a document, say."""
    return "".join(c if c.isprintable() else " " for c in text)
