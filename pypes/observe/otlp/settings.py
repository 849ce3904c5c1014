"""Settings of the export to a collector, with what OpenTelemetry's own variables say where Pypes' settings say nothing."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from pypes import __version__
from pypes.errors import InvalidConfig

#: The line that installs what is needed.
INSTALL: Final = "pip install 'pypes-server[otel]'"
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADERS: Final = "OTEL_EXPORTER_OTLP_HEADERS"
SERVICE: Final = "OTEL_SERVICE_NAME"
ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"
SAMPLER: Final = "OTEL_TRACES_SAMPLER"
SAMPLER_ARG: Final = "OTEL_TRACES_SAMPLER_ARG"
INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
DISABLED: Final = "OTEL_SDK_DISABLED"

#: Share of the deliveries of each sampler; ``None``: as its argument says.
_SAMPLERS: Final[Mapping[str, float | None]] = {"always_on": 1.0, "always_off": 0.0, "traceidratio": None}
_PARENT_BASED: Final = "parentbased_"
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Otlp(msgspec.Struct, frozen=True, kw_only=True):
    """The collector of a node. ``headers`` are those of each request, and secret; ``interval_s`` 0: no metrics."""

    endpoint: str
    headers: dict[str, str] = {}
    resource: dict[str, str] = {}
    interval_s: float = 60.0

    def __repr__(self) -> str:
        return f"Otlp({self.endpoint!r})"

    def of_node(self, node: int) -> Otlp:
        """The same for the node with this number, which its resource names unless an operator does."""
        return msgspec.structs.replace(self, resource={"service.instance.id": str(node), **self.resource})

    @property
    def traces(self) -> str:
        """The address for traces."""
        return f"{self.endpoint}/v1/traces"

    @property
    def metrics(self) -> str:
        """The address for metrics."""
        return f"{self.endpoint}/v1/metrics"


def from_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Values of the settings of ``[observe]`` that OpenTelemetry's variables give, by their names; none if they switch it off."""
    if environ.get(DISABLED, "").strip().lower() == "true":
        return {}
    found: dict[str, str] = {}
    if endpoint := environ.get(ENDPOINT, "").strip():
        found["otlp_endpoint"] = endpoint
    if (sampler := environ.get(SAMPLER, "").strip().lower()) and sampler.removeprefix(_PARENT_BASED) in _SAMPLERS:
        share = _SAMPLERS[sampler.removeprefix(_PARENT_BASED)]
        found["trace_share"] = environ.get(SAMPLER_ARG, "").strip() or "1" if share is None else f"{share:g}"
        if not sampler.startswith(_PARENT_BASED):
            found["caller_traces_per_s"] = "0"
    if (interval := environ.get(INTERVAL, "").strip()) and interval.isdigit():
        found["otlp_interval_s"] = f"{int(interval) / 1000:g}"
    return found


def otlp_of(endpoint: str, headers: str, interval_s: float, environ: Mapping[str, str]) -> Otlp | None:
    """The export that settings describe; ``None`` without an endpoint. ``headers`` is ``name=value``, by commas or lines.

    Raises :class:`InvalidConfig` for an address that is none, for headers that are none, and without what it needs.
    """
    if not endpoint:
        return None
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.username is not None or parts.query or parts.fragment:
        raise InvalidConfig("must be an address of OTLP over HTTP, such as http://localhost:4318", where="otlp_endpoint")
    if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.proto") is None:
        raise InvalidConfig(f"traces and metrics are sent with a library that is not installed: {INSTALL}", where="otlp_endpoint")
    return Otlp(
        endpoint=endpoint.rstrip("/"),
        headers=_headers(headers or environ.get(HEADERS, "")),
        resource={"service.name": "pypes", "service.version": __version__, **_resource(environ)},
        interval_s=interval_s,
    )


def _resource(environ: Mapping[str, str]) -> dict[str, str]:
    found = _pairs(environ.get(ATTRIBUTES, ""))
    if name := environ.get(SERVICE, "").strip():
        found["service.name"] = name
    return found


def _headers(text: str) -> dict[str, str]:
    found = _pairs(text)
    for name, value in found.items():
        if not _HEADER.fullmatch(name) or not value.isprintable() or not value.isascii():
            raise InvalidConfig(
                "must be header fields, each as name=value, separated by commas or lines", where="otlp_headers_file"
            )
    return found


def _pairs(text: str) -> dict[str, str]:
    """``name=value``, percent-encoded, separated by commas or lines; what has no ``=`` is passed over."""
    pairs = [pair.partition("=") for pair in re.split(r"[,\n]", text)]
    return {name.strip(): unquote(value.strip()) for name, sign, value in pairs if sign and name.strip()}
