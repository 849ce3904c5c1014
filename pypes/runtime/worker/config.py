"""The configuration that an ingest worker starts with."""

from __future__ import annotations

import msgspec

from pypes.access.budget import Budget
from pypes.access.settings import AccessSettings
from pypes.core.limits import Limits
from pypes.observe.hiding import Hiding
from pypes.observe.otlp.settings import Otlp
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.own_secrets import hiding_of


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of gunicorn and its ingest workers, as the supervisor sends it.

    It travels as JSON through an inherited file descriptor whose number is the only argument of
    ``python -m pypes.api.server``: :meth:`read` takes it there. ``listen_fd`` is the bound, listening socket;
    ``lifeline_fd`` the reading end of a pipe that nobody writes to: its end means that the supervisor is gone.
    ``session_key``: random bytes of which sessions of browsers are made, the same as long as the supervisor lives. ``hosts``
    holds what an operator added; the names of ``bind`` are implied. ``proxies`` are networks. ``budget`` is that of tokens that
    have none. ``node`` is the node's number in receipts. ``boot`` is chosen anew by each supervisor, so that two nodes with
    the same number are told apart. ``fleet_dir`` is the folder that the node shares with others for its sources, if it does;
    ``fleet``: how it comes to the nodes of its fleet, if it is in one, ``joined`` since when, in the node's time,
    ``is_key_owner_required`` whether keys wait for a node of it that is away, ``patience_s``: for how long requests wait for
    one that restarts. ``otlp``: where traces and metrics are sent. ``caller_traces_per_s``: how many deliveries are traced
    because their callers are. ``redact``: patterns of names whose values are hidden where documents are shown. With ``is_tls``
    nothing but TLS is spoken; the supervisor pushes the certificate.
    """

    data_dir: str
    runtime_dir: str
    control_socket: str
    listen_fd: int
    lifeline_fd: int
    host: str
    port: int
    workers: int
    session_key: bytes
    token: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    insecure: bool = False
    is_tls: bool = False
    open_addresses: tuple[str, ...] = AccessSettings().open
    session_s: float = AccessSettings().session_s
    session_idle_s: float = AccessSettings().session_idle_s
    budget: Budget = Budget()
    callback_hosts: tuple[str, ...] = ()
    callback_secret: str | None = None
    durability: str = "always"
    interval_s: float = 1.0
    limits: Limits = msgspec.field(default_factory=Limits)
    node: int = 0
    boot: str = ""
    fleet_dir: str | None = None
    fleet: FleetAccess | None = None
    joined: float = 0.0
    is_key_owner_required: bool = True
    patience_s: float = 0.0
    log_json: bool = True
    log_level: str = "INFO"
    log_ring_bytes: int = 0
    redact: tuple[str, ...] = ()
    otlp: Otlp | None = None
    caller_traces_per_s: float = 0.0

    @property
    def grace_s(self) -> float:
        return self.limits.grace_s

    def hiding(self) -> Hiding:
        """Hides what no process of the node is to show."""
        return hiding_of(self.redact, self.token, self.callback_secret, self.otlp, self.fleet.secrets if self.fleet else ())

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> WorkerConfig:
        return msgspec.json.decode(data, type=cls)

    @classmethod
    def read(cls, fd: int) -> WorkerConfig:
        """Read the configuration from an inherited descriptor until its end, and close it."""
        with open(fd, "rb") as stream:
            return cls.decode(stream.read())
