"""FetchURL: fetch one address when it has changed, and delete its document when it is gone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from time import sleep
from typing import Annotated, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import urllib3

from pypes import Example, Help, Packet, Parameters, Source
from pypes.core.file_names import in_one_line, named
from pypes.errors import ComponentError
from pypes_basic.answer import UNKNOWN, Answer, decoded, type_of
from pypes_basic.deadline import Deadline
from pypes_basic.naming import deletion, id_help

#: The server says that there will not be anything under this address again (RFC 9110, 15.5.11).
GONE = 410
#: There is nothing, for now or for good; servers say so, too, while they are being mended.
MISSING = 404
MOVED = (301, 302, 303, 307, 308)
MAX_REDIRECTS = 5
ATTEMPTS = 3
READ_BYTES = 1 << 16
#: Of what a server says in its status line, so much is told.
SHOWN_CHARS = 200


class FetchURL(Source):
    """Fetch a URL if it has changed since: bytes in ``data``, and ``url``, ``filename``, ``mimetype``, ``charset``, ``modified``.

    The id of the document is the URL unless ``id`` says otherwise, so that a changed page replaces it. An answer 410 (gone)
    deletes it at once; 404 (not found) does when a second look, ``confirm_s`` later, finds no page either. A page that was never
    there, and other statuses, are errors of the run. An answer without content is no document, and changes nothing: the log
    says so.

    It asks with what ``ETag`` and ``Last-Modified`` said last. Where a server knows neither, the content is compared. A user
    and a password in the URL are sent as Basic authentication. Where a redirect leads to another scheme, host or port, neither
    they nor ``headers`` go with it. ``url`` in the metadata is without them, and has ``${NAME}`` where the parameter has it.
    """

    icon = "globe"
    tags = ("web", "deletions")
    #: ``${SITE}`` is the address of a server whose page ``hello`` says hello.
    example = Example(
        params={"url": "${SITE}/hello"},
        gives=Packet({"data": b"hello"}, {"id": "${SITE}/hello", "url": "${SITE}/hello", "filename": "hello"}),
    )

    class Params(Parameters):
        url: Annotated[str, Help("What to fetch, http or https.", pattern="^https?://")]
        id: Annotated[str, id_help("Id of the document, made of {url} or {name}, its last part", "url", "name")] = "{url}"
        deletions: Annotated[bool, Help("Delete the document when the server answers 404 (not found) or 410 (gone).")] = True
        confirm_s: Annotated[float, Help("A page that is not found is looked for again after so long.", ge=0, le=600)] = 2.0
        headers: Annotated[
            dict[str, str], Help("Headers of the request, such as Authorization; they do not follow a redirect to another host.")
        ] = {}
        timeout_s: Annotated[float, Help("Longest time for a look, redirects and repeats included.", gt=0)] = 120.0
        max_bytes: Annotated[int, Help("A longer answer is an error.", ge=1)] = 32 * 1024 * 1024

    def setup(self) -> None:
        if problem := _problem(self.params.url):
            raise ComponentError(f"url is no address of a page: {problem}", code="url.invalid")
        self._url, self._headers = _without_user(self.params.url, self.params.headers)
        # what the header is made of is secret already; encoded, it looks like something else
        if self._headers.get("Authorization") != self.params.headers.get("Authorization"):
            self.secrets.add(self._headers["Authorization"].removeprefix("Basic "))
        #: The address as others may read it.
        self._shown = self.secrets.redact(self._url)
        self._name = unquote(urlsplit(self._shown).path.rpartition("/")[2]) or urlsplit(self._shown).hostname or ""
        self._id = named(self.secrets.redact(self.params.id), url=self._shown, name=self._name)

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        known = cursor if cursor and cursor["url"] in (self._shown, self.params.url) else {}
        if cursor and not known and cursor.get("id") not in (None, self._id):
            self.log.warning("the document of another address stays", extra={"url": self._shown, "id": cursor["id"]})
        conditions = {}
        if known.get("etag"):
            conditions["If-None-Match"] = known["etag"]
        if known.get("modified"):
            conditions["If-Modified-Since"] = known["modified"]
        former = [self._deletion(known)] if known.get("id") and self.params.deletions else []
        answer = self._look(conditions, may_be_missing=bool(former) or "gone" in known)
        if answer.status == MISSING and former:
            # one of several servers may not have the page yet, or not for a moment
            sleep(self.params.confirm_s)
            answer = self._look(conditions, may_be_missing=True)
        if answer.status == 304:
            if known:
                return
            raise ComponentError(f"{self._shown} answered 304, although nothing was known of it", code="url.status")
        if answer.status in (GONE, MISSING):
            if not known.get("gone"):
                self.log.warning("a page is gone", extra={"url": self._shown, "deleted": bool(former)})
                yield former, {"url": self._shown, "gone": True}
            return
        if not answer.data:
            self.log.warning("an answer without content is passed over", extra={"url": self._shown})
            return
        digest = hashlib.sha256(answer.data).hexdigest()
        kind = "; charset=".join(filter(None, type_of(answer.headers)))
        # the same bytes in another character set are another text
        is_new = digest != known.get("digest") or kind != known.get("kind", kind)
        behind = {
            "url": self._shown,
            "etag": answer.headers.get("ETag"),
            "modified": answer.headers.get("Last-Modified"),
            "digest": digest,
            "kind": kind,
        }
        packets = [self._packet(answer)] if is_new else []
        # what the document has been published under and as, by an earlier release nothing
        published = packets[0].get_metas()[0] if is_new else known
        behind |= {name: published[name] for name in ("id", "mimetype") if published.get("id")}
        if behind == known:
            return
        if is_new and known.get("id") != self._id:
            packets += former
        yield packets, behind

    def _look(self, conditions: Mapping[str, str], *, may_be_missing: bool) -> Answer:
        """The answer as of now: 200, 304, 410 or, if that is no error, 404; raises :class:`ComponentError` for others."""
        with Deadline(self.params.timeout_s) as deadline:
            try:
                answer = self._get(deadline, conditions)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                if deadline.is_over:
                    raise self._too_slow() from None
                raise ComponentError(self.secrets.redact(f"{self._shown}: {_told(error)}"), code="url.failed") from error
        if answer.status == MISSING and not may_be_missing:
            raise ComponentError(f"{self._shown} answered 404: there is no such page", code="url.status")
        return answer

    def _get(self, deadline: Deadline, conditions: Mapping[str, str]) -> Answer:
        """The answer that redirects lead to at last; raises :class:`ComponentError` for another than 200, 304, 404 and 410."""
        url, headers = self._url, {**self._headers, **conditions}
        http = deadline.pool(retries=urllib3.Retry(ATTEMPTS, redirect=False, respect_retry_after_header=False))
        try:
            for _ in range(MAX_REDIRECTS + 1):
                raw = http.request("GET", url, headers=headers, redirect=False, preload_content=False, timeout=deadline.timeout)
                target = raw.headers.get("Location") if raw.status in MOVED else None
                if target is None:
                    return self._read(raw, deadline)
                raw.close()
                before, url = url, urljoin(url, target)
                if urlsplit(url).scheme not in ("http", "https"):
                    raise ComponentError(f"{self._shown} leads to another kind of address than http", code="url.redirect")
                if problem := _problem(url):
                    raise ComponentError(f"{self._shown} leads to what is no address: {problem}", code="url.redirect")
                if _origin(url) != _origin(before):
                    # what was meant for one host is nobody else's business, and stays away from whatever comes after
                    headers = dict(conditions)
                url, _ = _without_user(url, {})
            raise ComponentError(f"{self._shown} leads from one address to the next, {MAX_REDIRECTS} times", code="url.redirect")
        finally:
            http.clear()

    def _read(self, raw: urllib3.BaseHTTPResponse, deadline: Deadline) -> Answer:
        try:
            if raw.status in (304, GONE, MISSING):
                return Answer(raw.status, raw.headers)
            if raw.status != 200:
                reason = self.secrets.redact((raw.reason or "")[:SHOWN_CHARS])
                raise ComponentError(f"{self._shown} answered {raw.status} {reason}".rstrip(), code="url.status")
            packed = bytearray()
            while piece := raw.read(READ_BYTES, decode_content=False):
                packed += piece
                if len(packed) > self.params.max_bytes:
                    raise self._too_large()
            if deadline.is_over:  # where no length was announced, a connection that is cut looks like the end
                raise self._too_slow()
        finally:
            raw.close()
        try:
            data = decoded(bytes(packed), raw.headers, self.params.max_bytes)
        except ValueError as error:
            raise ComponentError(f"{self._shown} answered with what cannot be unpacked: {error}", code="url.encoding") from error
        if data is None:
            raise self._too_large()
        return Answer(raw.status, raw.headers, data)

    def _packet(self, answer: Answer) -> Packet:
        media_type, charset = type_of(answer.headers)
        meta: dict[str, Any] = {
            "url": self._shown,
            "filename": in_one_line(self._name),
            "mimetype": media_type,
            "contentlength": len(answer.data),
        }
        for name, value in (
            ("id", self._id),
            ("charset", charset),
            ("modified", _time(answer.headers.get("Last-Modified"))),
        ):
            if value:
                meta[name] = value
        return Packet.from_document({"data": answer.data}, meta)

    def _deletion(self, known: Mapping[str, Any]) -> Packet:
        return deletion(known["id"], url=self._shown, mimetype=known.get("mimetype", UNKNOWN))

    def _too_large(self) -> ComponentError:
        return ComponentError(f"{self._shown} has more than max_bytes, {self.params.max_bytes}", code="url.too_large")

    def _too_slow(self) -> ComponentError:
        return ComponentError(
            f"{self._shown} was not fetched within timeout_s, {self.params.timeout_s:g} s; raise it if that is too short",
            code="url.timeout",
        )


def _without_user(url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The address without user and password, and the headers with them, unless they authorise in another way."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, dict(headers)
    plain = urlunsplit(parts._replace(netloc=host))
    if any(name.lower() == "authorization" for name in headers):
        return plain, dict(headers)
    pair = base64.b64encode(unquote(user if ":" in user else f"{user}:").encode()).decode()
    return plain, {**headers, "Authorization": f"Basic {pair}"}


def _told(error: Exception) -> str:
    """The cause of an error in words, without the number of attempts and the names of a library's classes."""
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return str(error).partition(": ")[2]
    match error.args:
        case (str(first), Exception() as cause):
            return first if str(cause) in first else f"{first.rstrip('.')}: {cause}"
    return str(error) or type(error).__name__


def _problem(url: str) -> str:
    """The fault of an address, without repeating it (it may hold a secret); empty if it has none."""
    try:
        parts = urlsplit(url)
        if not parts.hostname:
            return "it names no host"
        if parts.port == 0:
            return "there is no port 0"
    except ValueError as error:
        return "its port is no number up to 65535" if "ort" in str(error) else "its host is not in a known form"
    return ""


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _time(date: str | None) -> str | None:
    """A date of HTTP in the form of RFC 3339, ``None`` for what is none."""
    try:
        return parsedate_to_datetime(date or "").strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
