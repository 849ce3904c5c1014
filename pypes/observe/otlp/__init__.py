"""OpenTelemetry: traces and metrics of a node, sent to a collector by OTLP over HTTP (extra ``otel``)."""
