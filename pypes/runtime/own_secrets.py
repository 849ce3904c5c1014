"""The node's own secrets, which none of its processes is to show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pypes import logs
from pypes.core.secrets import Secrets
from pypes.observe.hiding import Hiding
from pypes.observe.otlp.settings import Otlp

if TYPE_CHECKING:
    from pypes.config import Settings


def hiding_of(
    redact: Iterable[str], token: str | None, callback_secret: str | None, otlp: Otlp | None, fleet_secrets: Iterable[str] = ()
) -> Hiding:
    """Hides names that match ``redact``, and token, secrets of callbacks and of the fleet, the header fields for a collector."""
    secrets = Secrets()
    for text in (token, callback_secret, *fleet_secrets, *(otlp.headers.values() if otlp is not None else ())):
        if text:
            secrets.add(text)
    return Hiding(redact, secrets)


def configure_logs(settings: Settings) -> None:
    """Configure the logs of the supervisor."""
    hiding = hiding_of(settings.observe.redact, settings.token, settings.callback_secret, settings.otlp, settings.fleet_secrets)
    logs.configure("supervisor", json=logs.is_json(settings.log.format), level=settings.log.level, hiding=hiding)
