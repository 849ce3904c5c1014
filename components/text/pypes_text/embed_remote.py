"""EmbedRemote: vectors of a model on a server that speaks the protocol of OpenAI."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from threading import Event
from typing import Annotated, Any, Final

from pypes import Example, Help, Packet, Parameters, Reject, Transformer, Unreachable
from pypes.component import Changes
from pypes.component.budget import Bound, Budget, Taken
from pypes_text.lengths import EstimatedTokens
from pypes_text.openai_client import OpenAIClient, Refused, TooMany
from pypes_text.vector_cache import VectorCache, as_kept
from pypes_text.vectors import Fields, Target, put_vector, text_of

#: So long a turn waits for the budget; beyond it the filter rests, and says why.
_PATIENCE_S: Final = 5.0

#: A vector, or the reason why there is none.
_Outcome = list[float] | Reject


class EmbedRemote(Transformer):
    """Add the vector of a text, which a server makes: ``POST URL/embeddings`` as OpenAI has it, which many other servers speak.

    Texts are sent in batches. Vectors are kept by model and text (``cache``), so that a document that is posted again asks only
    for what changed in it. All instances of the filter share that cache and one budget of requests and tokens in a minute.

    While the server cannot be reached, answers 429 or 5xx, or refuses key or model, the filter rests and nothing fails;
    ``Retry-After`` is kept to. A text that the server refuses (400, 413, 422) is a dead letter (``embed.refused``), and so is one
    for which it gives no vector (``embed.missing``), or one of other dimensions or no numbers (``embed.wrong``); the others of
    the batch go on. A packet without text is a dead letter, too (``document.no_text``), and so is one of more than ``longest``
    characters (``embed.too_long``): put Chunk before it. Deletions pass.

    To search an index of these vectors by meaning, name the server to whoever searches: ``PYPES_EMBEDDINGS_URL``.

    Counts ``calls``, ``texts`` that were sent, ``tokens`` as the server says, ``cache_hits``, and ``waits`` for the budget.
    """

    icon = "waypoints"
    tags = ("text", "embedding", "search", "http")
    #: ``${EMBEDDINGS}`` is the address of a server whose vectors have two dimensions.
    example = Example(
        params={"url": "${EMBEDDINGS}", "model": "small", "key": ""},
        takes=Packet({"text": "looms"}),
        gives=Packet({"text": "looms", "vector": [[0.5, 0.25]]}),
    )

    batch_size = 64
    batch_bytes = 512 * 1024
    batch_s = 0.02

    class Params(Parameters):
        url: Annotated[str, Help("Address of the server, up to the version: https://api.example.org/v1.", pattern="^https?://.")]
        model: Annotated[str, Help("Name of the model.", min_length=1)]
        key: Annotated[str, Help("Key of the server, as ${NAME}; empty if it wants none.")] = ""
        fields: Fields = ["text"]
        target: Target = "vector"
        dimensions: Annotated[int, Help("Ask for vectors of so many dimensions; with 0, those that the model has.", ge=0)] = 0
        longest: Annotated[int, Help("Longest text, in characters.", ge=1, le=10_000_000)] = 100_000
        tokens_per_call: Annotated[int, Help("Most tokens in one call, as estimated.", ge=1)] = 100_000
        requests_per_minute: Annotated[int, Help("Most calls in a minute, of all instances; 0: no bound.", ge=0)] = 0
        tokens_per_minute: Annotated[int, Help("Most tokens in a minute, of all instances; 0: no bound.", ge=0)] = 0
        cache: Annotated[int, Help("Vectors that are kept on the node, those that came last; 0: none.", ge=0)] = 100_000
        timeout_s: Annotated[float, Help("Longest time for a call.", gt=0, le=600)] = 60.0

    def setup(self) -> None:
        params = self.params
        self._client = self.shared(OpenAIClient, params.url, params.key, params.timeout_s)
        # the budget is one entry more
        self._store = self.open_store(params.cache + 1)
        self._budget = Budget({"requests": Bound(params.requests_per_minute), "tokens": Bound(params.tokens_per_minute)})
        self._cache = VectorCache(self._store, f"{params.model}/{params.dimensions}")
        self._tokens = EstimatedTokens()
        self._dims = params.dimensions
        self._ends = Event()
        #: Header fields by which the calls of a batch belong to a trace.
        self._trace: dict[str, str] = {}
        #: Vectors of the last batch of several, for its packets that come again one by one.
        self._last: dict[str, list[float]] = {}

    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        params = self.params
        fault: Reject | None = None
        texts: list[tuple[Packet, str, str]] = []
        for packet in packets:
            if packet.is_deletion:
                continue
            try:
                text = text_of(packet, params.fields, params.longest)
            except Reject as error:
                fault = error
            else:
                texts.append((packet, self._cache.key_of(text), text))
        wanted = {key: text for _, key, text in texts}
        known = {} if len(packets) > 1 else {key: self._last[key] for key in wanted if key in self._last}
        self._trace = self.trace_headers()
        outcomes = self.offload(self._outcomes, wanted, known) if wanted else {}
        if len(packets) > 1:
            self._last = _vectors_of(outcomes)
        for packet, key, _ in texts:
            outcome = outcomes[key]
            if isinstance(outcome, Reject):
                fault = outcome
            else:
                put_vector(packet, params.target, outcome, params.model)
        if fault is not None:
            # the packets of the batch come again one by one, and those that have their vector ask for nothing
            raise fault
        return packets

    def teardown(self) -> None:
        if hasattr(self, "_ends"):
            self._ends.set()

    # -- in a thread ------------------------------------------------------------------------------------------

    def _outcomes(self, wanted: Mapping[str, str], known: Mapping[str, list[float]]) -> dict[str, _Outcome]:
        """The outcome for each text by its key."""
        outcomes: dict[str, _Outcome] = {**known}
        if self.params.cache:
            cached = self._cache.find(key for key in wanted if key not in known)
            self.count("cache_hits", len(cached))
            outcomes |= cached
        missing = [key for key in wanted if key not in outcomes]
        for keys in self._portions(missing, wanted):
            made = dict(zip(keys, self._embed([wanted[key] for key in keys]), strict=True))
            outcomes |= made
            if self.params.cache:  # whatever happens to the next portion, these are paid for
                self._cache.put(_vectors_of(made))
        return outcomes

    def _portions(self, keys: Sequence[str], texts: Mapping[str, str]) -> list[list[str]]:
        """Keys by the call in which their texts go."""
        portions: list[list[str]] = []
        room = 0
        for key in keys:
            tokens = self._tokens.of(texts[key])
            if not portions or tokens > room:
                portions.append([])
                room = self.params.tokens_per_call
            portions[-1].append(key)
            room -= tokens
        return portions

    def _embed(self, texts: Sequence[str]) -> list[_Outcome]:
        """Ask for texts; where the server refuses them, for one half and the other, until it is known which it refuses."""
        try:
            return self._ask(texts)
        except Refused as error:
            if len(texts) == 1:
                return [Reject(self.secrets.redact(str(error)), "embed.refused")]
        middle = ceil(len(texts) / 2)
        return self._embed(texts[:middle]) + self._embed(texts[middle:])

    def _ask(self, texts: Sequence[str]) -> list[_Outcome]:
        estimated = sum(map(self._tokens.of, texts))
        self._wait(estimated)
        request: dict[str, Any] = {"model": self.params.model, "input": [*texts]}
        if self.params.dimensions:
            request["dimensions"] = self.params.dimensions
        self.count("calls")
        self.count("texts", len(texts))
        try:
            answer = self._client.post("embeddings", request, self._trace)
        except TooMany as error:
            wait_s = error.wait_s
            self._account(lambda entries: self._budget.pause(entries, time.time(), wait_s))
            raise Unreachable(self.secrets.redact(f"{error}; the next call is in {error.wait_s:.0f} s")) from None
        except Unreachable as error:  # servers repeat keys that they refuse
            raise Unreachable(self.secrets.redact(str(error))) from None
        self.count("tokens", answer.tokens)
        if answer.tokens and self.params.tokens_per_minute:
            more = {"tokens": answer.tokens - estimated}
            self._account(lambda entries: self._budget.settle(entries, time.time(), more))
        return self._vectors(answer.body.get("data"), len(texts))

    def _wait(self, tokens: int) -> None:
        """Take a call from the budget; raises ``Unreachable`` if that would take long."""
        ends_s = time.monotonic() + _PATIENCE_S
        while wait_s := self._take(tokens):
            self.count("waits")
            if time.monotonic() + wait_s > ends_s or self._ends.wait(wait_s):
                raise Unreachable(f"the budget of calls and tokens is used up; the next call is in {wait_s:.0f} s")

    def _take(self, tokens: int) -> float:
        """Take a call of so many tokens; returns 0, or the seconds after which to try again."""
        taken = Taken({})

        def take(entries: Mapping[str, bytes]) -> Mapping[str, bytes]:
            nonlocal taken
            taken = self._budget.take(entries, time.time(), {"requests": 1, "tokens": tokens})
            return taken.entries

        self._account(take)
        return taken.wait_s

    def _account(self, account: Callable[[Mapping[str, bytes]], Mapping[str, bytes]]) -> None:
        """Write what the budget makes of its entries. Blocks."""
        self._store.change(self._budget.keys, lambda entries: Changes(account(entries)))

    def _vectors(self, data: Any, count: int) -> list[_Outcome]:
        """The vectors of an answer in the order of the texts.

        None, if nobody can tell whose they are: each text is asked for alone then.
        """
        outcomes: list[_Outcome] = [Reject("the server gave no vector for this text", "embed.missing") for _ in range(count)]
        items = data if isinstance(data, list) else []
        indexes = [item.get("index", place) if isinstance(item, dict) else None for place, item in enumerate(items)]
        known = [index for index in indexes if type(index) is int]
        # a server that leaves a text out, and then counts what it gives, has no index beyond that
        are_its_own = len(items) < count and all(index < len(items) for index in known)
        if len(items) > count or len({*known}) < len(known) or are_its_own:
            return outcomes
        for index, item in zip(indexes, items, strict=True):
            if type(index) is int and 0 <= index < count:
                outcomes[index] = self._checked(item.get("embedding"))
        return outcomes

    def _checked(self, found: Any) -> _Outcome:
        try:
            vector = as_kept(found) if isinstance(found, list) else []
        except (TypeError, OverflowError):
            vector = []
        if not vector or not all(map(math.isfinite, vector)) or not any(vector):
            return Reject("the server gave no vector of numbers for this text", "embed.wrong")
        self._dims = self._dims or len(vector)
        if len(vector) != self._dims:
            return Reject(f"the server gave {len(vector)} dimensions for this text, not {self._dims}", "embed.wrong")
        return vector


def _vectors_of(outcomes: Mapping[str, _Outcome]) -> dict[str, list[float]]:
    return {key: outcome for key, outcome in outcomes.items() if not isinstance(outcome, Reject)}
