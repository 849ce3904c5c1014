"""The table of who may do what: each operation of the interface, the scopes that suffice, and what is seen of other graphs.

``python -m tests.api.permissions > docs/scopes.md`` writes the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pypes.access.client import SCOPES, client_of
from pypes.access.settings import AccessSettings

#: Answers about a graph that is not one of the token's: refused with 403, as if there was none, or a list without it.
REFUSED, HIDDEN, LEFT_OUT = "403", "404", "left out"
#: What an operation is about that is about no graph.
SAME = "the same"

#: Operations with no graph in their address, and the answer about another graph.
OTHERS: Mapping[str, str] = {
    "GET /": SAME,
    "GET /plain": LEFT_OUT,
    "GET /session": SAME,
    "POST /session": SAME,
    "POST /session/end": SAME,
    "POST /docs": REFUSED,
    "POST /docs/{route}": REFUSED,
    "PUT /docs/{route}": REFUSED,
    "POST /docs/{route}/{id}": REFUSED,
    "PUT /docs/{route}/{id}": REFUSED,
    "DELETE /docs/{route}/{id}": REFUSED,
    "GET /receipts": LEFT_OUT,
    "GET /receipts/{id}": HIDDEN,
    "GET /receipts/{id}/documents": HIDDEN,
    "GET /receipts/{id}/trace": HIDDEN,
    "GET /documents": LEFT_OUT,
    "GET /deadletters": LEFT_OUT,
    "DELETE /deadletters": LEFT_OUT,
    "POST /deadletters/replay": LEFT_OUT,
    "GET /deadletters/{id}": HIDDEN,
    "PUT /deadletters/{id}": HIDDEN,
    "DELETE /deadletters/{id}": HIDDEN,
    "GET /deadletters/{id}/posted": HIDDEN,
    "POST /deadletters/{id}/replay": HIDDEN,
    "GET /filters": LEFT_OUT,
    "POST /filters": REFUSED,
    "GET /filters/{id}": REFUSED,
    "PUT /filters/{id}": REFUSED,
    "DELETE /filters/{id}": REFUSED,
    "GET /components": SAME,
    "POST /components/rescan": SAME,
    "POST /drain": SAME,
    "GET /components/{name}": SAME,
    "GET /composites": LEFT_OUT,
    "GET /composites/{name}": LEFT_OUT,
    "PUT /composites/{name}": REFUSED,
    "DELETE /composites/{name}": REFUSED,
    "GET /composites/{name}/versions": SAME,
    "GET /composites/{name}/versions/{version}": SAME,
    "GET /graphs": LEFT_OUT,
    "POST /graphs": REFUSED,
    "GET /drafts": LEFT_OUT,
    "GET /fleet": SAME,
    "GET /search": REFUSED,
    "GET /outbox": LEFT_OUT,
    "GET /outbox/{name}": HIDDEN,
    "DELETE /outbox/{name}/{cursor}": HIDDEN,
    "GET /healthz": SAME,
    "GET /readyz": LEFT_OUT,
    "GET /static/{file}": SAME,
    "GET /status": LEFT_OUT,
    "GET /events": LEFT_OUT,
    "GET /metrics": LEFT_OUT,
    "GET /logs": LEFT_OUT,
    "GET /audit": SAME,
    "GET /tokens": SAME,
    "POST /tokens": SAME,
    "GET /tokens/{name}": SAME,
    "PATCH /tokens/{name}": SAME,
    "DELETE /tokens/{name}": SAME,
    "GET /openapi.json": SAME,
}

PAGE = (
    "# Scopes\n\n"
    "Each operation of the HTTP interface, and the scopes of a [token](operator-guide.md#tokens) of which one suffices. "
    "`GET /openapi.json` has them as `x-pypes-scope`. Without a sufficient scope the answer is 403, `scope.missing`; without a "
    "token, with a wrong one, and with one that was revoked or has expired, it is 401, but for the operations for which none is "
    "needed. A browser that has [signed in](operator-guide.md#who-may-do-what) may do what its token may; what changes something "
    "needs its CSRF token besides (otherwise 403, `csrf.missing`), and so does a lease of `GET /outbox/{name}`. The last column "
    "has what the [audit log](operator-guide.md#the-audit-log) calls what an operation changes (`x-pypes-audit`).\n\n"
    "A token may be for some graphs only. About other graphs it then gets:\n\n"
    "- *403*: refused with `graph.forbidden`, whether there is such a graph or not;\n"
    "- *404*: the same as if there was no such thing;\n"
    "- *left out*: an answer without what belongs to them; what is about no graph, or about several of which one is not the "
    "token's, is left out, too;\n"
    "- *the same*: this is about no graph.\n\n"
    "`python -m tests.api.permissions` writes this page.\n\n"
)


class Row(NamedTuple):
    """An operation, such as ``GET /graphs/{name}``: the scopes with which a token may do it, and what it sees of other graphs.

    ``is_open``: no token is needed. ``audit`` is what the audit log calls it, empty for what changes nothing of the node.
    """

    method: str
    path: str
    scopes: tuple[str, ...]
    others: str
    is_open: bool
    audit: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def allows(self, scope: str) -> bool:
        """True if a token that was given this scope may do it."""
        return self.is_open or not self.scopes or not client_of("", (scope,)).scopes.isdisjoint(self.scopes)


def rows(document: Mapping[str, Any]) -> Iterator[Row]:
    """All operations of a description. Fails for one of which it is not said what it shows of other graphs."""
    opened = {f"/{name}" for name in AccessSettings().open}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            others = REFUSED if path.startswith("/graphs/{name}") else OTHERS[name]
            # the page asks for a token itself
            is_open = path in opened or "x-pypes-scope" not in operation
            scopes = tuple(operation.get("x-pypes-scope", ()))
            yield Row(method.upper(), path, scopes, others, is_open, operation.get("x-pypes-audit", ""))


def page(document: Mapping[str, Any]) -> str:
    """The page with the table."""
    heads = ["Operation", *SCOPES, "of other graphs", "without a token", "in the audit log"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows(document):
        cells = [
            f"`{row.name}`",
            *("yes" if row.allows(scope) else "" for scope in SCOPES),
            row.others,
            "yes" if row.is_open else "",
            f"`{row.audit}`" if row.audit else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return PAGE + "\n".join(lines) + "\n"


if __name__ == "__main__":
    from tests.api.test_openapi import DOCUMENT

    sys.stdout.write(page(DOCUMENT))
