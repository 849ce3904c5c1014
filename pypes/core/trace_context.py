"""Trace context: the trace of somebody else that a request belongs to, as W3C Trace Context (level 1) has it in header fields.

``traceparent`` names the trace and the span that sent the request, and says whether the sender records it (*sampled*);
``tracestate`` is passed on as it came. See https://www.w3.org/TR/trace-context-1/. Invalid fields count as none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final
from uuid import UUID

import msgspec

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_KEY: Final = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_MEMBER: Final = re.compile(rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_SAMPLED: Final = 1

#: Members of a tracestate, the longest that is passed on whole, and the members that go first when it is longer, in characters.
MAX_MEMBERS: Final = 32
MAX_STATE: Final = 512
LONG_MEMBER: Final = 128


class TraceContext(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A span as others name it: ``trace_id`` and ``span_id`` are 32 and 16 hexadecimal digits, ``state`` the tracestate."""

    trace_id: str
    span_id: str
    is_sampled: bool = False
    state: str = ""

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.is_sampled else '00'}"

    def fields(self) -> dict[str, str]:
        """The header fields of a request that this span sends."""
        found = {TRACEPARENT: self.traceparent}
        if self.state:
            found[TRACESTATE] = self.state
        return found


def parse(parents: Sequence[str], states: Iterable[str] = ()) -> TraceContext | None:
    """The context of a request with these values of ``traceparent`` and ``tracestate``; ``None`` without a valid one."""
    if len(parents) != 1:
        return None
    found = _TRACEPARENT.fullmatch(parents[0].strip(" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    # later versions may append, this one may not; and ff will never be a version
    if version == "ff" or (more is not None and version == "00") or not (trace_id.strip("0") and span_id.strip("0")):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED), state_of(states))


def state_of(values: Iterable[str]) -> str:
    """A tracestate in one line, from its right end shortened to what is passed on; empty if it is not valid."""
    members = [member.strip(" \t") for value in values for member in value.split(",")]
    members = [member for member in members if member]
    found = [_MEMBER.fullmatch(member) for member in members]
    keys = {each.group(1) for each in found if each is not None}
    if len(keys) < len(members) or len(members) > MAX_MEMBERS:
        return ""
    while len(state := ",".join(members)) > MAX_STATE:
        long = [at for at, member in enumerate(members) if len(member) > LONG_MEMBER]
        del members[long[-1] if long else -1]
    return state


def trace_of(receipt: str) -> str:
    """The id of the trace of a delivery that nobody else has begun: its receipt, without the dashes."""
    return UUID(receipt).hex


def span_of(receipt: str, part: str) -> str:
    """The id of the span of a part of a delivery: the same in each run, so that whoever is asked to can tell it beforehand."""
    return blake2b(f"{receipt}/{part}".encode(), digest_size=8).hexdigest()
