"""Metrics: the catalogue of all that ``GET /metrics`` shows, with kind, unit, help and labels of each.

Names follow the conventions of Prometheus: counters end in ``_total``, units are seconds, bytes or nothing. A metric with labels
becomes one series for each combination of their values, so that every label has few values: names of graphs and filters, words
of this file, statuses; never ids, addresses or texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``name`` is that of its samples: of a histogram the part before ``_bucket``, ``_sum`` and ``_count``.

    ``unit`` is ``seconds``, ``bytes`` or empty. ``buckets`` are the upper bounds of a histogram, without the infinite one.
    Series of several processes are added up; with ``is_latest`` the greatest of them counts, such as the time of the last error.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()
    is_latest: bool = False

    @property
    def width(self) -> int:
        """Numbers that one series has: those of a histogram are its buckets, the infinite one too, and the sum."""
        return len(self.buckets) + 2 if self.kind == "histogram" else 1


_GRAPH: Final = ("graph",)
_FILTER: Final = ("graph", "filter")
_LANE: Final = ("graph", "lane")

# -- filters and wires, counted where the graphs run ------------------------------------------------------

FILTER_IN: Final = Metric(
    "pypes_filter_packets_in_total",
    "counter",
    "Packets that came to a filter; those that it is given again came before.",
    _FILTER,
)
FILTER_OUT: Final = Metric(
    "pypes_filter_packets_out_total",
    "counter",
    "Packets that a filter has sent on, or committed if it is a publisher; one that goes on several wires counts once.",
    _FILTER,
)
FILTER_SECONDS: Final = Metric(
    "pypes_filter_seconds_total", "counter", "Time in the code of a filter, in pool workers too.", _FILTER, "seconds"
)
FILTER_FAILURES: Final = Metric(
    "pypes_filter_failures_total",
    "counter",
    "Packets that have failed at a filter for good: dead letters, or sent on by its error port.",
    _FILTER,
)
FILTER_RETRIES: Final = Metric(
    "pypes_filter_retries_total", "counter", "Packets that a filter was to be given again because it asked for that.", _FILTER
)
FILTER_PARKED: Final = Metric(
    "pypes_filter_parked_seconds_total",
    "counter",
    "Time in which a filter was held up: a full wire behind it, a service that is down, packets that wait to be tried again.",
    _FILTER,
    "seconds",
)
FILTER_WAITING: Final = Metric(
    "pypes_filter_waiting_seconds_total",
    "counter",
    "Time of calls of a filter that run beside the graph; several at once count each.",
    _FILTER,
    "seconds",
)
FILTER_RESTING: Final = Metric(
    "pypes_filter_resting", "gauge", "Instances in which a filter rests because the service behind it is down.", _FILTER
)
FILTER_LAST_ERROR: Final = Metric(
    "pypes_filter_last_error_time_seconds",
    "gauge",
    "Time of the last error of a filter, in seconds since 1970.",
    _FILTER,
    "seconds",
    is_latest=True,
)
PUBLISHER_BATCHES: Final = Metric("pypes_publisher_batches_total", "counter", "Commits of a publisher.", _FILTER)
PUBLISHER_SECONDS: Final = Metric(
    "pypes_publisher_commit_seconds_total", "counter", "Time in the commits of a publisher.", _FILTER, "seconds"
)
WIRE_PACKETS: Final = Metric("pypes_wire_packets_total", "counter", "Packets that went over a wire.", ("graph", "wire"))
WIRE_PARKED: Final = Metric(
    "pypes_wire_parked_seconds_total", "counter", "Time for which senders waited at a full wire.", ("graph", "wire"), "seconds"
)

# -- HTTP, and the way of deliveries, counted by ingest workers --------------------------------------------

HTTP_REQUESTS: Final = Metric(
    "pypes_http_requests_total",
    "counter",
    "Requests that were answered. The route is the template of the address, unknown for what has none.",
    ("route", "method", "status"),
)
POSTS_REFUSED: Final = Metric(
    "pypes_posts_refused_total",
    "counter",
    "POSTs of documents that were answered 429, 503 or 507, by the code of the problem. Each worker names 20 routes at most.",
    ("status", "code", "route"),
)
OVER_BUDGET: Final = Metric(
    "pypes_requests_over_budget_total",
    "counter",
    "Requests that were answered 429 because a client had used as much as it may, by its token and what it was. Each worker "
    "names 20 tokens at most.",
    ("token", "budget"),
)
HTTP_SECONDS: Final = Metric(
    "pypes_http_request_seconds",
    "histogram",
    "Time from the head of a request to its answer.",
    ("route", "method"),
    "seconds",
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
DELIVERY_SECONDS: Final = Metric(
    "pypes_delivery_seconds",
    "histogram",
    "Time from the 202 of a delivery until it was done, of deliveries of which something was published.",
    _GRAPH,
    "seconds",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
NEW_DEAD_LETTERS: Final = Metric(
    "pypes_dead_letters_total",
    "counter",
    "Dead letters that were written, by the code of their error; a graph with many codes has the rest as other.",
    ("graph", "code"),
)
SOURCE_RUNS: Final = Metric(
    "pypes_source_runs_total",
    "counter",
    "Runs of a source that have ended, by result: done, failed, or stopped until its deletions are confirmed.",
    ("graph", "filter", "result"),
)
COMMIT_SECONDS: Final = Metric(
    "pypes_store_commit_seconds",
    "histogram",
    "Time of a commit of the queue, its sync included.",
    unit="seconds",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
LOOP_DELAY: Final = Metric(
    "pypes_event_loop_delay_seconds",
    "histogram",
    "Lateness of a timer each second: the event loop was busy that long.",
    ("process",),
    "seconds",
    (0.005, 0.025, 0.1, 0.5, 2.5),
)

# -- documents and queues, as the shards know them ----------------------------------------------------------

ACCEPTED: Final = Metric(
    "pypes_documents_accepted_total", "counter", "Documents accepted, since the shards of the node were made.", _GRAPH
)
PUBLISHED: Final = Metric("pypes_documents_published_total", "counter", "Accepted documents that were published.", _GRAPH)
DROPPED: Final = Metric("pypes_documents_dropped_total", "counter", "Accepted documents that a filter dropped.", _GRAPH)
FAILED: Final = Metric("pypes_documents_failed_total", "counter", "Accepted documents that failed.", _GRAPH)
QUEUE_DELIVERIES: Final = Metric("pypes_queue_deliveries", "gauge", "Deliveries that are not done.", _LANE)
QUEUE_DOCUMENTS: Final = Metric("pypes_queue_documents", "gauge", "Documents of deliveries that are not done.", _LANE)
QUEUE_BYTES: Final = Metric("pypes_queue_bytes", "gauge", "Bytes of the bodies of deliveries that are not done.", _LANE, "bytes")
QUEUE_AGE: Final = Metric(
    "pypes_queue_oldest_age_seconds", "gauge", "Age of the oldest delivery that is not done, 0 if all are.", _LANE, "seconds"
)
DEAD_LETTERS: Final = Metric("pypes_kept_dead_letters", "gauge", "Dead letters that are kept.", _GRAPH)
DEAD_LETTER_BYTES: Final = Metric(
    "pypes_kept_dead_letter_bytes", "gauge", "Bytes of dead letters, with the bodies kept for them.", _GRAPH, "bytes"
)
LIMIT_USED: Final = Metric(
    "pypes_limit_used_ratio",
    "gauge",
    "Used share of a limit of a graph, in the shard that has used most of it. At 1 nothing more is taken of the graph and, if it "
    "is a limit of dead letters, nothing run.",
    ("graph", "limit"),
)
SHARDS: Final = Metric(
    "pypes_shards",
    "gauge",
    "Shards of the queue by state: ready, failing (the disk takes nothing), or missing (the worker is being restarted). While "
    "one is missing, documents and queues are not shown, since sums without it would run backwards.",
    ("state",),
)

# -- the node and its processes, as the supervisor knows them -------------------------------------------------

BUILD: Final = Metric("pypes_build_info", "gauge", "1, with the versions of Pypes and Python.", ("version", "python"))
NODE_START: Final = Metric(
    "pypes_node_start_time_seconds",
    "gauge",
    "Start of the node, in seconds since 1970. Counters begin anew then, but for those of documents.",
    unit="seconds",
)
CERTIFICATE_END: Final = Metric(
    "pypes_certificate_end_time_seconds",
    "gauge",
    "End of the certificate with which the node speaks TLS, in seconds since 1970; there is none without TLS.",
    unit="seconds",
)
NODE_READY: Final = Metric("pypes_node_ready", "gauge", "1 if the node takes documents and runs them, else 0.")
GRAPH_RUNNING: Final = Metric(
    "pypes_graph_running",
    "gauge",
    "1 if a graph runs; 0 if it could not be set up, its file is not deployed, it lost its pool, or it is paused.",
    _GRAPH,
)
GRAPH_PAUSED: Final = Metric("pypes_graph_paused", "gauge", "1 if somebody has paused a graph, else 0.", _GRAPH)
GRAPH_VERSION: Final = Metric("pypes_graph_version", "gauge", "The version of a graph that is live.", _GRAPH)
DEPLOYMENTS: Final = Metric(
    "pypes_deployments_total", "counter", "Deployments by result: switched or failed; starts of the node are some.", ("result",)
)
DEPLOYMENT_SECONDS: Final = Metric(
    "pypes_deployment_seconds",
    "histogram",
    "Time of deployments that switched.",
    unit="seconds",
    buckets=(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
INSTANCES: Final = Metric("pypes_instances", "gauge", "Instances by state: starting, ready or stopping.", ("state",))
POOL_WORKERS: Final = Metric("pypes_pool_workers", "gauge", "Pool workers.", ("pool",))
POOL_BUSY: Final = Metric("pypes_pool_busy_workers", "gauge", "Pool workers that work on a packet.", ("pool",))
POOL_DEATHS: Final = Metric("pypes_pool_deaths_total", "counter", "Pool workers that were lost.", ("pool",))
PROCESS_MEMORY: Final = Metric(
    "pypes_process_resident_memory_bytes", "gauge", "Memory of a process that is not swapped out.", ("process",), "bytes"
)
PROCESS_CPU: Final = Metric(
    "pypes_process_cpu_seconds_total", "counter", "Processor time of a process, which ends with it.", ("process",), "seconds"
)
PROCESS_DESCRIPTORS: Final = Metric(
    "pypes_process_open_descriptors", "gauge", "Open file descriptors of a process.", ("process",)
)
MAX_DESCRIPTORS: Final = Metric("pypes_max_descriptors", "gauge", "File descriptors that a process may have open.")
INSTANCE_MAX_MEMORY: Final = Metric(
    "pypes_instance_max_memory_bytes",
    "gauge",
    "Memory at which an instance is ended, the setting max_memory_bytes.",
    unit="bytes",
)
DATA_FREE: Final = Metric("pypes_data_free_bytes", "gauge", "Free room on the file system of the data directory.", unit="bytes")
DATA_SIZE: Final = Metric("pypes_data_size_bytes", "gauge", "Size of the file system of the data directory.", unit="bytes")
COMPONENT_COUNTS: Final = Metric(
    "pypes_component_counts_total", "counter", "Counts that components keep with self.count.", ("graph", "filter", "name")
)
INSTANCE_RESTARTS: Final = Metric(
    "pypes_instance_restarts_total",
    "counter",
    "Instances that ended unasked and were replaced, by cause: the signal, timeout, memory, stuck or exit.",
    ("cause",),
)
INSTANCE_SETUP: Final = Metric(
    "pypes_instance_setup_seconds",
    "histogram",
    "Time from the start of an instance until it takes documents.",
    unit="seconds",
    buckets=(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

OTLP_SENT: Final = Metric(
    "pypes_otlp_sent_total",
    "counter",
    "Spans (traces) and data points (metrics) that the collector of OpenTelemetry has taken.",
    ("signal",),
)
OTLP_DROPPED: Final = Metric(
    "pypes_otlp_dropped_total",
    "counter",
    "Spans or deliveries (traces) and data points (metrics) that were not sent: the collector was away or refused them.",
    ("signal",),
)

#: All metrics, in the order in which they are shown.
CATALOGUE: Final[tuple[Metric, ...]] = (
    FILTER_IN,
    FILTER_OUT,
    FILTER_SECONDS,
    FILTER_FAILURES,
    FILTER_RETRIES,
    FILTER_PARKED,
    FILTER_WAITING,
    FILTER_RESTING,
    FILTER_LAST_ERROR,
    PUBLISHER_BATCHES,
    PUBLISHER_SECONDS,
    WIRE_PACKETS,
    WIRE_PARKED,
    HTTP_REQUESTS,
    POSTS_REFUSED,
    OVER_BUDGET,
    HTTP_SECONDS,
    DELIVERY_SECONDS,
    NEW_DEAD_LETTERS,
    SOURCE_RUNS,
    COMMIT_SECONDS,
    LOOP_DELAY,
    ACCEPTED,
    PUBLISHED,
    DROPPED,
    FAILED,
    QUEUE_DELIVERIES,
    QUEUE_DOCUMENTS,
    QUEUE_BYTES,
    QUEUE_AGE,
    DEAD_LETTERS,
    DEAD_LETTER_BYTES,
    LIMIT_USED,
    SHARDS,
    BUILD,
    NODE_START,
    CERTIFICATE_END,
    NODE_READY,
    GRAPH_RUNNING,
    GRAPH_PAUSED,
    GRAPH_VERSION,
    DEPLOYMENTS,
    DEPLOYMENT_SECONDS,
    INSTANCES,
    INSTANCE_RESTARTS,
    INSTANCE_SETUP,
    POOL_WORKERS,
    POOL_BUSY,
    POOL_DEATHS,
    PROCESS_MEMORY,
    PROCESS_CPU,
    PROCESS_DESCRIPTORS,
    MAX_DESCRIPTORS,
    INSTANCE_MAX_MEMORY,
    DATA_FREE,
    DATA_SIZE,
    COMPONENT_COUNTS,
    OTLP_SENT,
    OTLP_DROPPED,
)

# -- told as events while somebody looks, not by ``GET /metrics``, where the parked time of wires says what matters ----------

WIRE_DEPTH: Final = Metric("pypes_wire_depth", "gauge", "Packets that wait on a wire.", ("graph", "wire"))
WIRE_BOUND: Final = Metric(
    "pypes_wire_bound",
    "gauge",
    "Packets that a wire on which some wait may have before its sender is stopped.",
    ("graph", "wire"),
)

# -- in files of their own, read while somebody looks: ``GET /metrics`` would have 27 series for each filter ------------------

PACKET_SECONDS: Final = Metric(
    "pypes_packet_seconds",
    "histogram",
    "Time of a packet at a filter, in its code, in pool workers and in calls beside the graph.",
    _FILTER,
    "seconds",
    tuple(2.0**n for n in range(-18, 7)),
)

#: All metrics by their names, also those that are not shown.
BY_NAME: Final[Mapping[str, Metric]] = MappingProxyType({metric.name: metric for metric in (*CATALOGUE, WIRE_DEPTH, WIRE_BOUND)})
