"""HTTPCall: ask a service over HTTP about each packet."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal, NamedTuple

import minijinja
import urllib3

from pypes import Example, Help, Packet, Parameters, Reject, Retry, Transformer, Unreachable
from pypes.component import Changes
from pypes.component.budget import DAY_S, MINUTE_S, Bound, Budget, Taken
from pypes.core.retry_after import retry_after_s
from pypes.errors import ComponentError, InvalidInput, Problem
from pypes_basic.expressions import environment, fault_of_expression, fault_of_template, names_in, said, variables

READ_BYTES: Final = 1 << 16
#: Time beyond that of a call before the runtime takes the filter for hanging.
SPARE_S: Final = 30.0
_LITERAL_HOST: Final = re.compile(r"https?://[^/?#{}@]+(?:[/?#]|$)")


class Request(NamedTuple):
    """One request, as it is sent."""

    url: str
    body: bytes
    #: Header fields by which it belongs to a trace.
    trace: Mapping[str, str]

    def key(self, method: str) -> str:
        """Its key in the cache."""
        digest = blake2b(digest_size=16)
        for part in (method.encode(), self.url.encode(), self.body):
            digest.update(b"%d:" % len(part) + part)
        return f"answer:{digest.hexdigest()}"


class HTTPCall(Transformer):
    """Ask a service over HTTP about each packet, and put what it answers into fields.

    ``url`` and ``body`` are templates over fields and metadata, as those of ``Template``:
    ``https://api.example.org/people?name={{ author|urlencode }}``, ``{"text": {{ text }}}`` (in a body of JSON, values are
    written as JSON). The host is literal. ``take`` says for each field which part of the answer it gets: an expression over
    ``answer`` (the parsed JSON, or with ``reads: text`` the text), ``status`` and ``headers`` (names in lower case). A part that
    is absent sets no field.

    Up to ``width`` packets are asked about at once, in each instance; they go on in their order, but for those
    that an outage has met. Keys belong into ``headers``, as
    ``${NAME}``. Redirects are not followed.

    - 2xx is an answer, and so are ``ok``. With a status among ``skip``, such as 404, the packet goes on as it is.
    - While nobody answers within ``time_s``, or the status is 429, 502, 503 or 504, the filter rests and tries again, and nothing
      is lost; it waits for as long as ``Retry-After`` says.
    - 408, 425 and 500 are tried again, a few times. Other statuses make a dead letter (``http.status``), and so does an answer
      that is not as it should be (``http.answer``).

    With ``cache_s``, an answer is remembered for so long by what was asked, on the node, over restarts: a document that comes
    again costs nothing. ``per_minute`` and ``per_day`` bound the calls of the whole node; when they are spent the filter rests
    until the next minute, or midnight UTC. A packet that runs again asks again. Deletions pass. ``calls`` and ``cache_hits`` are
    counted.
    """

    icon = "cloud-cog"
    tags = ("web", "enrichment")
    #: ``${SITE}`` is the address of a server that answers ``{"length": N}`` for a text.
    example = Example(
        takes=Packet({"text": "loom"}),
        gives=Packet({"text": "loom", "length": 4}),
        params={"url": "${SITE}/length", "body": '{"text": {{ text }}}', "take": {"length": "answer.length"}},
    )

    class Params(Parameters):
        url: Annotated[str, Help("Template of the address; the host in it is literal.", pattern="^(https?://|\\$\\{)")]
        method: Annotated[Literal["GET", "POST", "PUT", "PATCH"], Help("Method of the request.")] = "POST"
        body: Annotated[str, Help("Template of the body; empty: none.", max_length=100_000)] = ""
        content_type: Annotated[str, Help("Type of the body; in JSON, values are written as JSON.")] = "application/json"
        headers: Annotated[dict[str, str], Help("Headers of the request, such as Authorization.")] = {}
        take: Annotated[dict[str, str], Help("Field → expression over answer, status and headers.", min_length=1)] = {
            "answer": "answer"
        }
        reads: Annotated[Literal["json", "text"], Help("The form of answers.")] = "json"
        ok: Annotated[list[int], Help("Statuses beside 2xx that are answers.")] = []
        skip: Annotated[list[int], Help("Statuses with which a packet goes on as it is.")] = []
        width: Annotated[int, Help("Calls at once in each instance.", ge=1, le=256)] = 8
        time_s: Annotated[float, Help("Longest time for a call, in seconds.", gt=0, le=3600)] = 30.0
        max_bytes: Annotated[int, Help("A longer answer is an error.", ge=1)] = 8 * 1024 * 1024
        cache_s: Annotated[float, Help("Time for which an answer is remembered, in seconds; 0: not at all.", ge=0)] = 0.0
        cache_entries: Annotated[int, Help("Answers that are remembered, those that came last.", ge=1)] = 100_000
        per_minute: Annotated[int, Help("Most calls of the node in a minute; 0: no bound.", ge=0)] = 0
        per_day: Annotated[int, Help("Most calls of the node in a day (UTC); 0: no bound.", ge=0)] = 0

        def __post_init__(self) -> None:
            faults = [("url", fault_of_template(self.url)), ("body", fault_of_template(self.body))]
            faults += [(f"take.{name}", fault_of_expression(text)) for name, text in self.take.items()]
            if "${" not in self.url and not _LITERAL_HOST.match(self.url):
                faults.append(("url", "write scheme and host as they are, without a template, user or password"))
            problems = [Problem(place, fault, "param.invalid") for place, fault in faults if fault]
            if problems:
                raise InvalidInput("the request is not valid", problems=problems)

    def configure(self, given: Mapping[str, Any]) -> None:
        super().configure(given)
        self.concurrency = self.params.width

    def setup(self) -> None:
        params = self.params
        if not _LITERAL_HOST.match(params.url):
            raise ComponentError("url is no address with a literal host, without user and password", code="http.url")
        self._env = environment(is_strict=True)
        self._body_name = "body.json" if "json" in params.content_type else "body"
        self._env.add_template("url", params.url)
        self._env.add_template(self._body_name, params.body)
        self._names = names_in(self._env, params.url) | names_in(self._env, params.body)
        self._lenient = environment()
        self._headers = {"Accept": "application/json" if params.reads == "json" else "*/*", **params.headers}
        if params.body:
            self._headers.setdefault("Content-Type", params.content_type)
        self._http = self.shared(urllib3.PoolManager, num_pools=4, maxsize=params.width, retries=False)
        bounds = {
            "per_minute": Bound(params.per_minute, MINUTE_S, is_even=False),
            "per_day": Bound(params.per_day, DAY_S, is_even=False),
        }
        self._budget = Budget(bounds)
        self._store = self.open_store(params.cache_entries + 1) if params.cache_s or self._budget.is_bounded else None
        self._now = time.time
        self.timeout_s = params.time_s + SPARE_S

    def process(self, packet: Packet) -> Packet:
        if packet.is_deletion:
            return packet
        try:
            known = variables(packet, self._names)
            url = self._env.render_template("url", **known)
            body = self._env.render_template(self._body_name, **known).encode()
        except minijinja.TemplateError as error:
            raise Reject(f"the request cannot be made: {said(error)}", "http.request") from None
        found = self.offload(self._found, Request(url, body, self.trace_headers()))
        for name, value in found.items():
            packet.set(name, value, multi=isinstance(value, list))
        return packet

    # -- in a thread --------------------------------------------------------------------------------------------

    def _found(self, request: Request) -> dict[str, Any]:
        """The fields for a request, remembered or asked for. Blocks."""
        key = request.key(self.params.method)
        now_s = self._now()
        remembered = self._remembered(key, now_s)
        if remembered is not None:
            self.count("cache_hits")
            return remembered
        found = self._taken(*self._asked(request))
        if self.params.cache_s and self._store is not None:
            data = json.dumps([self._now() + self.params.cache_s, found]).encode()
            self._store.change([], lambda _: Changes({key: data}))
        return found

    def _remembered(self, key: str, now_s: float) -> dict[str, Any] | None:
        """Fields remembered of a request; without any, a call is taken from the budget. Raises :class:`Unreachable`."""
        if self._store is None:
            return None
        found: list[dict[str, Any]] = []
        taken = Taken({})

        def decide(entries: Mapping[str, bytes]) -> Changes:
            nonlocal taken
            found.clear()
            taken = Taken({})
            if self.params.cache_s and key in entries:
                until_s, fields = json.loads(entries[key])
                if now_s < until_s:
                    found.append(fields)
                    return Changes({})
            if self._budget.is_bounded:
                taken = self._budget.take(entries, now_s, {"per_minute": 1, "per_day": 1})
            return Changes(taken.entries)

        self._store.change([key, *self._budget.keys], decide)
        if taken.wait_s:
            most, period = getattr(self.params, taken.bound), taken.bound.removeprefix("per_")
            raise Unreachable(taken.wait_s, f"the budget of {most} in a {period} is spent ({taken.bound})")
        return found[0] if found else None

    def _asked(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer. Raises as the docstring of the class says."""
        params = self.params
        self.count("calls")
        ends = time.monotonic() + params.time_s
        raw = self._http.request(
            params.method,
            request.url,
            body=request.body or None,
            headers={**request.trace, **self._headers} if request.trace else self._headers,
            redirect=False,
            preload_content=False,
            timeout=urllib3.Timeout(total=params.time_s),
        )
        try:
            data = bytearray()
            while piece := raw.read1(READ_BYTES, decode_content=True):
                data += piece
                if len(data) > params.max_bytes:
                    raise Reject(f"the answer has more than {params.max_bytes} bytes (max_bytes)", "http.answer")
                if time.monotonic() > ends:
                    raise Unreachable(0.0, f"the answer was not complete after {params.time_s:g} s (time_s)")
            headers = {name.lower(): value for name, value in raw.headers.items()}
            self._check(raw.status, headers, bytes(data[:200]))
        except BaseException:
            raw.close()
            raise
        raw.release_conn()
        return raw.status, headers, bytes(data)

    def _check(self, status: int, headers: Mapping[str, str], said: bytes) -> None:
        """Raise what follows from a status that is no answer."""
        params = self.params
        if 200 <= status < 300 or status in params.ok or status in params.skip:
            return
        reason = self.secrets.redact(f"{status} {said.decode('utf-8', 'replace')}".strip())
        if status in (429, 502, 503, 504):
            raise Unreachable(retry_after_s(headers.get("retry-after"), self._now()) or 0.0, f"the service answered {reason}")
        if status in (408, 425, 500):
            raise Retry(retry_after_s(headers.get("retry-after"), self._now()) or 0.0, f"the service answered {reason}")
        raise Reject(f"the service answered {reason}", "http.status")

    def _taken(self, status: int, headers: Mapping[str, str], data: bytes) -> dict[str, Any]:
        """The fields that an answer gives."""
        if status in self.params.skip:
            return {}
        try:
            answer = json.loads(data) if self.params.reads == "json" else data.decode()
        except (ValueError, RecursionError) as error:
            shown = self.secrets.redact(data[:200].decode("utf-8", "replace"))
            raise Reject(f"the answer is not {self.params.reads}: {error}: {shown}", "http.answer") from None
        found = {}
        for name, text in self.params.take.items():
            try:
                value = self._lenient.eval_expr(text, answer=answer, status=status, headers=headers)
            except minijinja.TemplateError as error:
                raise Reject(f"take.{name}, {text}, cannot be told of the answer: {said(error)}", "http.answer") from None
            if value is not None:
                found[name] = value
        return found
