"""Webhook: publish to an address, as signed messages over HTTP."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import urllib3

from pypes import Example, Help, Packet, Parameters, Reject, Retry, Unreachable
from pypes.core.retry_after import retry_after_s
from pypes_basic.records import Record, Shape, Told, digest
from pypes_basic.timing import RETRY_S
from pypes_basic.values import KEPT_META
from pypes_basic.whole_publisher import WholePublisher
from pypes_stores.messages import Message, Messages

#: Statuses that say nothing of the message: the server cannot do it now, or the address or the key has to be mended.
NOT_NOW: Final = (401, 403, 404, 405, 407, 410, 421, 425, 429, 502, 503, 504)
#: Statuses that may be over with the next try, or be due to the message.
AGAIN: Final = (408, 409, 423, 500)
#: Of what a server answers, so much is told.
MAX_REASON: Final = 500
MAX_ANSWER_BYTES: Final = 1 << 16


class Webhook(WholePublisher):
    """Send whole documents to an address, as JSON over HTTP, signed and with keys by which a receiver knows what came twice.

    In: packets, parts of documents. Out: a POST for each document with all of its parts and its version (``whole``), in most
    cases; a deletion is a message as well (``deleted``). ``pypes_stores.messages`` says what is in a message, and what receivers
    do with documents that come in several. With ``batch``, up to so many messages travel as a list.

    Versions of a document are sent in their order, one after the other. Where several instances are at work, an older one may
    come later: receivers keep ``version``, and pass over what is older. A message that comes again, after an answer that was
    lost or a crash, has the same ``key``.

    With ``secret``, requests are signed as the Standard Webhooks say (https://www.standardwebhooks.com): ``webhook-id``,
    ``webhook-timestamp`` and ``webhook-signature``, an HMAC with SHA-256 of all three parts. ``Idempotency-Key`` is the id.
    ``traceparent`` is sent for documents whose own request had it.

    Each 2xx is success. While nobody answers within ``timeout_s``, and with 401, 403, 404, 410, 429, 502, 503, 504 or a
    redirect, the filter rests, as long as ``Retry-After`` says, and nothing is lost. 408, 409 and 500 are tried again, a few
    times. Any other status makes a dead letter of the document alone (``webhook.status``).
    Binary values are named by their size.
    """

    icon = "webhook"
    tags = ("web", "messages")
    example = Example(
        takes=Packet({"id": "ada", "title": "Ada"}),
        params={"url": "${SITE}/taken", "secret": "${SECRET}"},
    )

    class Params(Parameters):
        url: Annotated[str, Help("The address, http or https.", pattern="^(https?://|\\$\\{)")]
        secret: Annotated[str, Help("Key of the signature: ${SECRET}; whsec_… is read as base64. Empty: none.")] = ""
        batch: Annotated[int, Help("Most messages of a request; more than 1: a list of messages.", ge=1, le=1_000)] = 1
        keep: Annotated[list[str], Help("Metadata that are sent beside those of where a document came from.")] = []
        headers: Annotated[dict[str, str], Help("Headers of the request, such as Authorization.")] = {}
        max_bytes: Annotated[
            int, Help("A document of more bytes comes in several messages; so long is the body of a request.", ge=1)
        ] = 4 * 1024 * 1024
        ca: Annotated[str, Help("File of certificates to trust, from the data directory if relative.", path=True)] = ""
        timeout_s: Annotated[float, Help("Longest time for an answer, in seconds.", gt=0)] = 30.0

    def setup(self) -> None:
        params = self.params
        # all fields stay fields: none has a place of its own
        self.prepare(Shape("", "", "", 0, "", tuple(set(params.keep) - set(KEPT_META))))
        self._messages = Messages(params.max_bytes)
        self._key = _key(params.secret)
        self._http = urllib3.PoolManager(
            retries=False,
            timeout=urllib3.Timeout(connect=min(params.timeout_s, 10.0), read=params.timeout_s),
            ca_certs=str(Path(self.data_dir, params.ca)) if params.ca else None,
        )

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        requests = list(self._requests(self._messages.of(records, told)))
        count = sum(map(len, requests))
        for messages in requests:
            self._post(messages, is_alone=count == 1)
        self._messages.ended(told)

    def teardown(self) -> None:
        if hasattr(self, "_http"):
            self._http.clear()

    def _requests(self, messages: Iterator[Message]) -> Iterator[list[Message]]:
        waiting: list[Message] = []
        size = 0
        for message in messages:
            if waiting and (len(waiting) == self.params.batch or size + message.size_bytes > self.params.max_bytes):
                yield waiting
                waiting, size = [], 0
            waiting.append(message)
            size += message.size_bytes
        if waiting:
            yield waiting

    def _post(self, messages: Sequence[Message], *, is_alone: bool) -> None:
        """Send messages in one request; ``is_alone`` if they are all that there is to send. Blocks."""
        if self.params.batch == 1:
            (message,) = messages
            key, body = message.key, message.data
        else:
            key, body = digest(*(each.key for each in messages)), b"[" + b",".join(each.data for each in messages) + b"]"
        answer = self._http.request(
            "POST", self.params.url, body=body, headers=self._signed(key, body), redirect=False, preload_content=False
        )
        try:
            said = answer.read(MAX_ANSWER_BYTES)[:MAX_REASON].decode("utf-8", "replace")
            answer.drain_conn()
        finally:
            answer.release_conn()
        self.count("requests")
        status = answer.status
        if 200 <= status < 300:
            return
        reason = self.secrets.redact(f"the receiver answered {status} {said}".strip())
        after_s = retry_after_s(answer.headers.get("retry-after"), time.time()) or RETRY_S
        if status in NOT_NOW or 300 <= status < 400:
            raise Unreachable(after_s, reason)
        if status in AGAIN and is_alone:
            raise Retry(after_s, reason)
        # of several, each is sent alone then
        raise Reject(reason, "webhook.status")

    def _signed(self, key: str, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        headers = {"content-type": "application/json", **self.trace_fields, **self.params.headers}
        headers |= {"idempotency-key": key, "webhook-id": key, "webhook-timestamp": now}
        if self._key:
            signature = hmac.digest(self._key, f"{key}.{now}.".encode() + body, hashlib.sha256)
            headers["webhook-signature"] = f"v1,{base64.b64encode(signature).decode()}"
        return headers


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
