"""RedisStream: publish whole documents as entries of a stream in Redis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final

from pypes import Example, Help, Packet, Parameters, Reject, Unreachable
from pypes_basic.records import Record, Shape, Told
from pypes_basic.timing import RETRY_S
from pypes_basic.values import KEPT_META
from pypes_basic.whole_publisher import WholePublisher
from pypes_stores.messages import Message, Messages
from pypes_stores.redis_client import ADDRESSES, connected, is_not_now

#: Bytes and messages that are sent before answers are read.
SENT_BYTES: Final = 4 << 20
SENT_MESSAGES: Final = 1_000

#: Appends a message unless it came before, or its version is older than one that was whole. The memory of a document is a hash:
#: the version that was whole last, and the versions of messages by their keys, without those older than that. A version that
#: runs again has another number, but where it is the same message, the same key. Text is compared by bytes, whatever the locale.
APPEND: Final = """
local version, key, is_whole, remember_s, maxlen, message = unpack(ARGV)
local function is_older(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = one:byte(i), other:byte(i)
    if a ~= b then return a < b end
  end
  return #one < #other
end
local whole = redis.call('HGET', KEYS[2], 'whole')
if whole and version ~= '' and is_older(version, whole) then return 0 end
local is_known = redis.call('HEXISTS', KEYS[2], key) == 1
redis.call('HSET', KEYS[2], key, version)
if is_whole == '1' then
  redis.call('HSET', KEYS[2], 'whole', version)
  local known = redis.call('HGETALL', KEYS[2])
  for i = 1, #known, 2 do
    if known[i] ~= 'whole' and is_older(known[i + 1], version) then redis.call('HDEL', KEYS[2], known[i]) end
  end
end
redis.call('EXPIRE', KEYS[2], remember_s)
if is_known then return 0 end
if maxlen == '0' then redis.call('XADD', KEYS[1], '*', 'message', message)
else redis.call('XADD', KEYS[1], 'MAXLEN', '~', maxlen, '*', 'message', message) end
return 1
"""


class RedisStream(WholePublisher):
    """Append whole documents to a stream in Redis, each version once, for consumer groups and whoever else reads it.

    In: packets, parts of documents. Out: an entry for each document with all of its parts and its version, in most cases, as JSON
    in field ``message``; a deletion is a message as well. ``pypes_stores.messages`` says what is in one, and what readers do
    with documents that come in several.

    A message that comes again, after an answer that was lost or a crash, is not appended again, nor is a version that is older
    than one that was whole. The server remembers both for ``remember_s``, in a hash for each document (``{STREAM}:of:…``), and
    does it in one step. ``maxlen`` has it drop the oldest entries, read or not.

    While the server is away, starts, or has no memory left, the filter rests and nothing is lost. Appended entries are as
    durable as the server keeps them (``appendfsync``). Anything else that it refuses makes a dead letter (``redis.refused``).
    """

    icon = "list-end"
    tags = ("queue", "messages")
    needs = {"redis": 'pip install "pypes-stores[redis]"'}
    #: ``${REDIS}`` is the address of a server.
    example = Example(takes=Packet({"id": "ada", "title": "Ada"}), params={"url": "${REDIS}", "stream": "people"})

    class Params(Parameters):
        url: Annotated[
            str,
            Help(
                "The server: rediss://USER:${PASSWORD}@HOST:6379/0.",
                pattern="^(rediss?|unix)://|^\\$\\{",
                harmless=ADDRESSES,
            ),
        ]
        stream: Annotated[str, Help("Key of the stream.", min_length=1)]
        maxlen: Annotated[int, Help("About so many entries are kept, the newest; 0: all.", ge=0)] = 0
        keep: Annotated[list[str], Help("Metadata that are sent beside those of where a document came from.")] = []
        max_bytes: Annotated[int, Help("A document of more bytes comes in several messages.", ge=1)] = 4 * 1024 * 1024
        remember_s: Annotated[int, Help("Seconds for which it is known what came.", ge=1)] = 604_800
        timeout_s: Annotated[float, Help("Longest time for an answer, in seconds.", gt=0)] = 30.0

    def setup(self) -> None:
        params = self.params
        # all fields stay fields: none has a place of its own
        self.prepare(Shape("", "", "", 0, "", tuple(set(params.keep) - set(KEPT_META))))
        self._messages = Messages(params.max_bytes)
        self._client = connected(params.url, params.timeout_s)
        self._append = self._client.register_script(APPEND)

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        from redis.exceptions import RedisError

        try:
            for messages in _portions(self._messages.of(records, told)):
                self._send(messages)
        except RedisError as error:
            said = self.secrets.redact(f"Redis: {error}")
            if is_not_now(error):
                raise Unreachable(RETRY_S, said) from error
            raise Reject(said, "redis.refused") from error
        self._messages.ended(told)

    def teardown(self) -> None:
        if hasattr(self, "_client"):
            self._client.close()

    def _send(self, messages: Iterable[Message]) -> None:
        """Append messages in their order; those behind one that fails may be there. Blocks."""
        params = self.params
        with self._client.pipeline(transaction=False) as pipeline:
            for each in messages:
                # the same part in braces, so that both keys are on one server of a cluster
                keys = [params.stream, f"{{{params.stream}}}:of:{each.document}"]
                arguments = [each.version, each.key, int(each.is_whole), params.remember_s, params.maxlen, each.data]
                self._append(keys=keys, args=arguments, client=pipeline)
            answers = pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        self.count("entries", sum(answers))


def _portions(messages: Iterable[Message]) -> Iterator[list[Message]]:
    waiting: list[Message] = []
    size = 0
    for each in messages:
        waiting.append(each)
        size += each.size_bytes
        if size >= SENT_BYTES or len(waiting) == SENT_MESSAGES:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting
