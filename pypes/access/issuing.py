"""Making, changing and revoking tokens, in the supervisor: the rules, and the form in which tokens are shown."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from pypes.access.audit import ITSELF, NODE_NAME, Cause, Line, line_of
from pypes.access.budget import Budget, changed
from pypes.access.client import ADMIN_NAME, SCOPES
from pypes.access.store import TokenStore
from pypes.access.token import MAX_TOKENS, Token, digest_of, new_secret
from pypes.core.clock import wall
from pypes.errors import Conflict, InvalidInput, NotFound
from pypes.observe.log_line import time_text

log = logging.getLogger(__name__)

#: Graphs that a token names.
MAX_GRAPHS: Final = 100

#: As those of graphs, of which a pattern may hold parts.
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
PATTERN: Final = re.compile(r"[A-Za-z0-9_*-]{1,64}")

#: Names that lines of the audit log have for others.
_TAKEN: Final = (ADMIN_NAME, NODE_NAME)


class Issuer:
    """The tokens of a node. ``has_configured`` says whether one was given to it at its start, which is not among these.

    ``on_change()`` is called when what was changed is durable.
    """

    def __init__(
        self,
        store: TokenStore,
        has_configured: Callable[[], bool],
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = wall,
        most: int = MAX_TOKENS,
    ) -> None:
        self._store = store
        self._has_configured = has_configured
        self._on_change = on_change
        self._clock = clock
        self._most = most

    def all(self) -> list[Token]:
        """All tokens by name."""
        return self._store.all()

    def get(self, name: str) -> Token:
        """One token; raises :class:`NotFound`."""
        token = self._store.one(name)
        if token is None:
            raise NotFound(f"there is no token {name!r}; GET /tokens lists them", code="token.not_found", where=name)
        return token

    def create(
        self,
        name: str,
        scopes: Sequence[str],
        graphs: Sequence[str] = (),
        expires: float | None = None,
        cause: Cause = ITSELF,
        budget: Mapping[str, Any] | None = None,
    ) -> tuple[Token, str]:
        """Make a token; returns it with its secret, which nobody can find out again.

        ``budget`` has the numbers of :class:`Budget`. The name may be that of a token that was revoked or has expired. Raises
        :class:`InvalidInput`, :class:`Conflict`.
        """
        if not NAME.fullmatch(name) or name in _TAKEN:
            raise InvalidInput(
                "the name of a token has letters, digits, - and _, 64 of them at most, and is neither "
                f"{ADMIN_NAME}, as the holder of the node's own token is called, nor {NODE_NAME}, as the node calls itself",
                code="token.name",
                where="name",
            )
        before, now = self._store.one(name), self._clock()
        if before is not None and before.state(now) == "live":
            raise Conflict(f"there is a token {name!r} already; revoke it, or take another name", code="token.exists", where=name)
        secret = new_secret()
        token = Token(
            name=name,
            digest=digest_of(secret.encode()),
            scopes=tuple(scopes),
            graphs=tuple(graphs),
            created=now,
            author=cause.by,
            budget=changed(Budget(), budget),
        )
        token = msgspec.structs.replace(_checked(token), expires=_end(expires, now))
        self._keep_open(name, token, "the first token of a node needs the scope admin, and no end")
        if before is None and self._store.count() >= self._most and not self._store.forget_ended(now, _forgotten):
            raise Conflict(f"there are {self._most} tokens, as many as may be; revoke some", code="token.too_many", where=name)
        self._put(token, cause, "token.create")
        log.info("token created", extra=_logged(token, cause.by))
        return self.get(name), secret

    def change(self, name: str, changes: dict[str, Any], cause: Cause = ITSELF) -> Token:
        """Give a token other ``scopes``, ``graphs``, another end (``expires``) or numbers of its ``budget``; its secret stays.

        Raises as :meth:`create`, :class:`NotFound`, and :class:`Conflict` for one that was revoked.
        """
        before = self.get(name)
        if before.revoked is not None:
            raise Conflict(f"the token {name!r} was revoked; create it anew", code="token.revoked", where=name)
        wanted = {key: tuple(changes[key]) for key in ("scopes", "graphs") if key in changes}
        token = _checked(msgspec.structs.replace(before, **wanted))
        if "expires" in changes:
            token = msgspec.structs.replace(token, expires=_end(changes["expires"], self._clock()))
        if "budget" in changes:
            token = msgspec.structs.replace(token, budget=changed(token.budget, changes["budget"]))
        if token == before:
            return token
        self._keep_open(name, token, "this is the last token with the scope admin and no end")
        self._put(token, cause, "token.change")
        log.info("token changed", extra=_logged(token, cause.by))
        return token

    def revoke(self, name: str, cause: Cause = ITSELF) -> None:
        """Let a token allow nothing any more, from now on and for good. Nothing happens if it was revoked before."""
        token = self.get(name)
        if token.revoked is not None:
            return
        self._keep_open(name, None, "this is the last token with the scope admin and no end")
        self._put(msgspec.structs.replace(token, revoked=self._clock()), cause, "token.revoke")
        log.info("token revoked", extra={"token": name, "by": cause.by})

    def _put(self, token: Token, cause: Cause, operation: str) -> None:
        end = None if token.expires is None else time_text(token.expires)
        rights: dict[str, Any] = {"scopes": token.scopes, "graphs": token.graphs, "expires": end}
        if budget := token.budget.given():
            rights["budget"] = budget
        self._store.put(token, line_of(cause, operation, object=token.name, detail=rights))
        self._on_change()

    def _keep_open(self, name: str, token: Token | None, what: str) -> None:
        """Refuse to replace the token of that name by this one if nobody could change tokens then."""
        if self._has_configured() or (token is not None and _is_lasting(token)):
            return
        if not any(_is_lasting(other) for other in self._store.all() if other.name != name):
            raise Conflict(
                f"{what}: nobody could change tokens any more. Create another such one first, or give the node a token of its "
                "own (token_file, PYPES_TOKEN)",
                code="token.last",
                where=name,
            )


def _forgotten(count: int) -> list[Line]:
    return [line_of(ITSELF, "token.forget", count=count)]


def shown(token: Token, now: float, time: Callable[[float], str]) -> dict[str, Any]:
    """A token as JSON values; ``time`` shows times."""
    found: dict[str, Any] = {
        "name": token.name,
        "state": token.state(now),
        "scopes": list(token.scopes),
        "graphs": list(token.graphs),
        "budget": token.budget.given(),
        "created": time(token.created),
        "created_by": token.author,
        "expires": None if token.expires is None else time(token.expires),
    }
    if token.revoked is not None:
        found["revoked"] = time(token.revoked)
    return found


def _logged(token: Token, by: str) -> dict[str, Any]:
    return {"token": token.name, "scopes": token.scopes, "graphs": token.graphs, "budget": token.budget.given(), "by": by}


def _is_lasting(token: Token) -> bool:
    return "admin" in token.scopes and token.expires is None and token.revoked is None


def _end(expires: float | None, now: float) -> float | None:
    if expires is not None and expires <= now:
        raise InvalidInput(
            "a token ends later than now; revoke one that is to end at once", code="token.expires", where="expires"
        )
    return expires


def _checked(token: Token) -> Token:
    """A token with scopes and graphs in order. Raises :class:`InvalidInput`."""
    scopes = _known(token.scopes)
    graphs = tuple(dict.fromkeys(token.graphs))
    if len(graphs) > MAX_GRAPHS or not all(PATTERN.fullmatch(graph) for graph in graphs):
        raise InvalidInput(
            f"graphs are up to {MAX_GRAPHS} names of graphs, or patterns such as team-*", code="token.graphs", where="graphs"
        )
    if graphs and "admin" in scopes:
        raise InvalidInput(
            "the scope admin is for all graphs; leave graphs out, or give edit, read or ingest",
            code="token.graphs",
            where="graphs",
        )
    return msgspec.structs.replace(token, scopes=scopes, graphs=graphs)


def _known(scopes: Iterable[str]) -> tuple[str, ...]:
    given = set(scopes)
    if not given or given - set(SCOPES):
        raise InvalidInput(f"scopes are some of {', '.join(SCOPES)}", code="token.scopes", where="scopes")
    return tuple(scope for scope in SCOPES if scope in given)
