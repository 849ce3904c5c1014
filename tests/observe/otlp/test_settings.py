"""Settings of the export, and what OpenTelemetry's own variables add."""

from __future__ import annotations

import importlib.util

import pytest

from pypes import __version__
from pypes.errors import InvalidConfig
from pypes.observe.otlp.settings import from_variables, otlp_of


def test_without_an_endpoint_nothing_is_exported() -> None:
    assert otlp_of("", "a=b", 60.0, {"OTEL_SERVICE_NAME": "x"}) is None


def test_addresses_are_made_of_the_endpoint() -> None:
    found = otlp_of("http://localhost:4318/", "", 5.0, {})
    assert found is not None
    assert (found.traces, found.metrics) == ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics")
    assert (found.resource, found.headers, found.interval_s) == (
        {"service.name": "pypes", "service.version": __version__},
        {},
        5.0,
    )


@pytest.mark.parametrize(
    "endpoint",
    ["localhost:4318", "ftp://localhost", "http://", "http://a:b@c", "http://a:99999", "http://a?b=c", "http://[::1"],
)
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(InvalidConfig, match="OTLP over HTTP") as caught:
        otlp_of(endpoint, "", 60.0, {})
    assert caught.value.where == "otlp_endpoint"


def test_headers_are_pairs_and_stay_secret() -> None:
    found = otlp_of("http://c", "Authorization=Basic%20s3cret\nx-tenant = 7,", 60.0, {"OTEL_EXPORTER_OTLP_HEADERS": "a=b"})
    assert found is not None
    assert found.headers == {"Authorization": "Basic s3cret", "x-tenant": "7"}
    assert "s3cret" not in repr(found)
    found = otlp_of("http://c", "", 60.0, {"OTEL_EXPORTER_OTLP_HEADERS": "a=b%2Cc"})
    assert found is not None
    assert found.headers == {"a": "b,c"}


@pytest.mark.parametrize("headers", ["a b=c", "a=b%0D%0AX: y", "a=ä"])
def test_headers_that_are_none_are_refused_without_being_shown(headers: str) -> None:
    with pytest.raises(InvalidConfig, match="name=value") as caught:
        otlp_of("http://c", headers, 60.0, {})
    assert headers not in str(caught.value)


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidConfig, match=r"pip install 'pypes-server\[otel\]'"):
        otlp_of("http://c", "", 60.0, {})


def test_resource_attributes_and_service_name() -> None:
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,deployment.environment=prod%20eu,nonsense", "OTEL_SERVICE_NAME": "b"}
    found = otlp_of("http://c", "", 60.0, environ)
    assert found is not None
    assert found.resource == {"service.name": "b", "service.version": __version__, "deployment.environment": "prod eu"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " http://c:4318 "}, {"otlp_endpoint": "http://c:4318"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "True"}, {}),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}, {"trace_share": "0.01"}),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, {"trace_share": "1"}),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, {"trace_share": "0", "caller_traces_per_s": "0"}),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, {"trace_share": "1", "caller_traces_per_s": "0"}),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, {}),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "10000"}, {"otlp_interval_s": "10"}),
    ],
)
def test_variables_of_opentelemetry(environ: dict[str, str], expected: dict[str, str]) -> None:
    assert from_variables(environ) == expected
