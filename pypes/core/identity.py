"""Identity: which documents are one and the same, decided here for entrance, order, receipts and publishers alike.

A document is known by its route and its id. An id is text that is not empty, or a whole number, which is the text of its digits.
Nothing else is an id: not null, true, a float, a list or an object. What has no id is a document of its own, which never replaces
another one.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pypes.errors import BadId

#: Longest id, in bytes of UTF-8: room for the addresses of pages.
MAX_ID_BYTES: Final = 2048

#: Metadata that says which document it is, where it came from and how it was read: set by the server, or given in ways of its
#: own. Nobody else may set it, and it is never changed, not even where a secret happens to stand in it.
OWN_METADATA: Final = frozenset(
    {
        "charset",
        "charset_declared",
        "charset_guessed",
        "contentlength",
        "declared_type",
        "document",
        "filename",
        "header",
        "hops",
        "id",
        "index",
        "made",
        "mimetype",
        "origin",
        "part",
        "processingtime",
        "receipt",
        "replaced_characters",
        "requestmethod",
        "route",
        "row",
        "run",
    }
)


class Identity(NamedTuple):
    """A document's route (``""`` without one) and its id. The same id under two routes is two documents."""

    route: str
    id: str


class Version(NamedTuple):
    """A version of a document, in the order in which they were accepted and run.

    ``receipt`` and ``index`` are those of its first run, the ordinal within the delivery; ``run`` is the time of the node at
    which this run was handed to an instance, in ms since the epoch (0: not known), so that a later run of the same
    delivery, under another graph perhaps, goes before an earlier one.
    """

    receipt: str
    index: int = 0  # type: ignore[assignment]  # nobody looks for values with the method of a tuple
    run: int = 0

    @property
    def text(self) -> str:
        """Text that sorts as versions do: ``RECEIPT/0000003/0001790000000000``."""
        receipt, index, run = self
        return f"{receipt}/{str(index).zfill(7)}/{str(run).zfill(16)}"  # PERF: half the time of what a format takes

    @classmethod
    def parse(cls, text: str) -> Version:
        """Inverse of :attr:`text`; raises ``ValueError`` for anything else."""
        receipt, index, run = text.rsplit("/", 2)
        return cls(receipt, int(index), int(run))


class Completed(NamedTuple):
    """The end of a document at one component: nothing more of this version comes to it in this run.

    ``is_whole``: nothing that was made of it failed on a way to this component, so what older versions left can go.
    ``is_deleted``: this version deletes the document.
    """

    document: Identity
    version: Version
    is_whole: bool
    is_deleted: bool = False


class Named(NamedTuple):
    """Identity of a document for a person: its id, the name of its file, its route; ``None`` for an absent one."""

    id: str | None = None
    file: str | None = None
    route: str | None = None

    def over(self, other: Named) -> Named:
        """These names, and of ``other`` those that are missing."""
        return Named(*(own if own is not None else its for own, its in zip(self, other, strict=True)))

    def log_fields(self) -> dict[str, str]:
        """The names there are, for a log line."""
        return {key: name for key, name in self._asdict().items() if name is not None}


#: Of what nobody has named.
NAMELESS: Final = Named()


def id_of(value: Any) -> str | None:
    """The id that a value stands for, ``None`` if it is none. Raises :class:`BadId` for text that is too long or no Unicode."""
    kind = type(value)
    if kind is str:
        if not value:
            return None
        if len(value) * 4 > MAX_ID_BYTES or not value.isascii():
            _check(value)
        return value  # type: ignore[no-any-return]
    return str(value) if kind is int else None


def _check(id: str) -> None:
    try:
        size = len(id.encode())
    except UnicodeEncodeError as error:
        raise BadId("the id holds half a surrogate pair, which is no character; give the document another id") from error
    if size > MAX_ID_BYTES:
        raise BadId(
            f"the id has {size} bytes, at most {MAX_ID_BYTES} are possible; shorten the id, for instance to a hash of itself"
        )
