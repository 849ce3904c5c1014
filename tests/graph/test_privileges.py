"""Filters that run programs, reach files of the server, or have its token."""

from __future__ import annotations

import re
from typing import Annotated, Any

import pytest

from pypes import Component, Harmless, Help, Packet, Parameters, Transformer
from pypes.graph.privileges import newly_privileged, outboxes_in, privileges_of
from pypes.graph.spec import describe
from pypes.registry import discover


class Reads(Transformer):
    class Params(Parameters):
        path: Annotated[str, Help("A file.", path=True)] = ""

    def process(self, packet: Packet) -> Packet:
        return packet


class Runs(Transformer):
    privileged = True

    def process(self, packet: Packet) -> Packet:
        return packet


class Connects(Transformer):
    class Params(Parameters):
        url: Annotated[str, Help("A server.", harmless=Harmless(("db",), {"mode": "on|off", "any": ".*"}))] = ""
        more: Annotated[dict[str, str], Help("Options.", harmless=Harmless(options={"region": "[a-z-]*"}))] = {}

    def process(self, packet: Packet) -> Packet:
        return packet


class Plain(Transformer):
    def process(self, packet: Packet) -> Packet:
        return packet


CLASSES: tuple[type[Component], ...] = (Reads, Runs, Connects, Plain)
#: Variables of the node.
ENVIRON = {"WORD": "word", "HOME": "/home", "DSN": "db://h/x?key=/k", "QUERY": "/?mode=on", "PLACE": "a.txt", "PYPES_TOKEN": "t"}
CATALOGUE = {cls.__name__: describe(cls) for cls in CLASSES}


def node(component: str, **params: Any) -> dict[str, Any]:
    return {"component": component, **({"params": params} if params else {})}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (node("Plain"), False),
        (node("Runs"), True),
        (node("Reads"), False),
        (node("Reads", path=""), False),
        (node("Reads", path="a.txt"), True),
        (node("Reads", path="${PLACE}"), True),
        (node("Unknown", path="a.txt"), False),
        (node("Plain", headers={"Authorization": ["Bearer ${PYPES_TOKEN}"]}), True),
        (node("Plain", key="${KEY} and $${PYPES_TOKEN}, PYPES_TOKEN"), False),
    ],
)
def test_paths_the_token_of_the_node_and_what_says_so_need_a_privilege(filter: dict[str, Any], expected: bool) -> None:
    assert bool(privileges_of(filter, CATALOGUE, ENVIRON)) is expected


FORM = "url: its form, which is not db://USER:PASSWORD@HOST:PORT/NAME?OPTION=VALUE"
HOST = "url: the host, which is no name or number"
HIDDEN = "url: a variable that holds more than one part of it"


@pytest.mark.parametrize(
    ("params", "reasons"),
    [
        ({"url": ""}, []),
        ({"url": "db://h"}, []),
        ({"url": "db://u:p@h.example:1,[::1]:2/name?mode=on&any=/x&"}, []),
        ({"url": "db://${WORD}:${WORD}@${WORD}/${WORD}?any=${WORD}"}, []),
        # one variable is an address of the operator's
        ({"url": "${DSN}"}, []),
        ({"url": "${UNSET}"}, []),
        ({"url": "db://h?mode=/x"}, ["url: option mode"]),
        ({"url": "db://h?key=/x&any=1&%61ny=1"}, ["url: option key", "url: an option"]),
        ({"url": "db://h/x?any=1;key=2"}, []),
        ({"url": "unix:///run/x.sock"}, ["url: a scheme other than db"]),
        ({"url": "db:///name"}, [HOST]),
        ({"url": "db://%2Frun/name"}, [HOST]),
        ({"url": "db://h,/name"}, [HOST]),
        ({"url": "db://a@b@h/name"}, [FORM]),
        ({"url": "db://u:p?x@h/name"}, [HOST, "url: an option"]),
        ({"url": "host=/run key=/x"}, [FORM]),
        ({"url": " db://h"}, ["url: a scheme other than db"]),
        ({"url": "DB://h"}, ["url: a scheme other than db"]),
        ({"url": "db://h/a=b&key=/x"}, [FORM]),
        # parts that come about with the value of a variable
        ({"url": "db://${HOME}:x@h/name"}, [HIDDEN]),
        ({"url": "db://${HOME}"}, [HOST]),
        ({"url": "db://h${QUERY}&key=/x"}, [HIDDEN]),
        ({"url": "db://h?${WORD}=/x"}, [HIDDEN]),
        ({"url": "$${DSN}"}, [FORM]),
        ({"more": {"region": "here", "REGION": "there"}}, []),
        ({"more": {"region": "x/y"}}, ["more: option region"]),
        ({"more": {"token_file": "/x", "region": "${HOME}"}}, ["more: option token_file", "more: option region"]),
    ],
)
def test_addresses_and_options_need_none_for_what_is_known_to_be_harmless(params: dict[str, Any], reasons: list[str]) -> None:
    assert privileges_of(node("Connects", **params), CATALOGUE, ENVIRON) == reasons


def test_what_stays_as_it_is_needs_none() -> None:
    old = {"a": node("Runs"), "b": node("Reads", path="x"), "c": node("Plain")}

    def newly(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
        return list(newly_privileged(old, new, CATALOGUE, ENVIRON))

    assert newly(old, old) == []
    assert newly(old, {"a": node("Runs"), "c": node("Plain", n=1)}) == []
    assert newly(old, {**old, "b": node("Reads", path="y")}) == ["b"]
    assert newly(old, {**old, "a": {**node("Runs"), "timeout_s": 1}}) == ["a"]
    assert newly(old, {"d": node("Runs"), "b": node("Reads", path="x")}) == ["d"]
    assert newly({}, old) == ["a", "b"]


FILES_OF_S3 = (
    *("azure_federated_token_file", "federated_token_file", "web_identity_token_file", "aws_web_identity_token_file"),
    *("container_authorization_token_file", "google_service_account", "service_account", "google_service_account_path"),
    *("application_credentials", "google_application_credentials", "GOOGLE_APPLICATION_CREDENTIALS", "authority_host"),
    *("sts_endpoint", "container_credentials_full_uri", "use_azure_cli"),
)
FILES_OF_LIBPQ = (
    *(f"postgresql://h/db?{name}=/x" for name in ("sslkeylogfile", "passfile", "sslkey", "sslcert", "sslrootcert", "sslcrl")),
    *(f"postgresql://h/db?{name}=/x" for name in ("sslcrldir", "service", "servicefile", "host", "krbsrvname")),
    *("postgresql:///db", "postgresql://%2Frun/db", "postgresql://@/db", "host=/run", "service=x", "postgresql://u@@run/db"),
)
FILES_OF_REDIS = (
    *("unix:///run/x.sock", "unix://h/x", "redis:///0"),
    *(f"rediss://h?{name}=/x" for name in ("ssl_certfile", "ssl_keyfile", "ssl_ca_certs", "ssl_ca_path", "path")),
)


def test_the_components_of_the_distributions() -> None:
    """Those that reach files or programs by what they are given by default, and some that do not."""
    catalogue = discover(())
    needing = {name for name in catalogue if privileges_of(node(name), catalogue, {})}
    assert {"SQLiteSearch", "Exec"} <= needing | {"Exec"}
    reaching: list[tuple[str, dict[str, Any]]] = [
        ("Exec", {"program": "/bin/true"}),
        ("Files", {"directory": "in"}),
        ("CSVWriter", {"path": "out.csv"}),
        ("SQLTable", {"path": "x.db"}),
        ("Lookup", {"path": "x.csv"}),
        *(("S3Listing", {"url": "s3://b", "options": {name: "/x"}}) for name in FILES_OF_S3),
        ("S3Objects", {"url": "s3://b", "options": {"region": "x.example/#"}}),
        *((name, {"url": url}) for name in ("SQLTable", "SQLQuery", "PostgreSQL") for url in FILES_OF_LIBPQ),
        *((name, {"url": url}) for name in ("RedisStream", "RedisConsumer") for url in FILES_OF_REDIS),
    ]
    for name, params in reaching:
        assert privileges_of(node(name, **params), catalogue, {}), (name, params)
    harmless: list[tuple[str, dict[str, Any]]] = [
        ("S3Listing", {"url": "s3://b", "options": {"AWS_REGION": "eu-west-1", "endpoint": "http://h:1", "access_key_id": "k"}}),
        ("S3Objects", {"url": "az://b", "options": {"azure_storage_account_name": "a", "sas_token": "t"}}),
        ("SQLTable", {"url": "postgresql://u:p@h:1/db?sslmode=verify-full&sslrootcert=system&options=-c%20search_path%3Dx"}),
        ("PostgreSQL", {"url": "${DATABASE}"}),
        ("RedisStream", {"url": "rediss://:p@h:6379/0?ssl_cert_reqs=none"}),
    ]
    for name, params in harmless:
        assert privileges_of(node(name, **params), catalogue, {}) == [], (name, params)
    for name in ("JSON", "Null", "SetField", "Outbox", "Webhook"):
        assert name not in needing, name


def test_outboxes_that_filters_name() -> None:
    catalogue = discover(())
    nodes = {"a": node("Outbox", name="x"), "b": node("Outbox"), "c": node("Null"), "d": node("Outbox", name="${BOX}")}
    assert outboxes_in(nodes, catalogue) == {"x", "results", "${BOX}"}


#: Words by which a parameter seems to be an address, the name of a server, or a key of one.
ADDRESS = re.compile("://|https?|server|address of|database", re.IGNORECASE)
#: Parameters that look like addresses, or are objects of any members, and lead to no file and no socket of the server: those of
#: urllib3 and httpx, which know http and https alone; hosts of TCP; what is sent to a server; and what Pypes itself reads.
HARMLESS: dict[str, set[str]] = {
    # arguments of functions that the operator has listed
    "Call": {"options"},
    "CallJoin": {"options"},
    "OpenSearch": {"url", "mappings", "settings"},
    "Elasticsearch": {"url", "mappings", "settings"},
    "EmbedRemote": {"url", "key"},
    # needs a program in any case
    "Exec": {"environ"},
    "FetchURL": {"url", "headers"},
    "HTTPCall": {"url", "headers", "take"},
    "HTTPPoll": {"url", "next", "headers"},
    "IMAP": {"host"},
    "Node": {"url"},
    # needs a file in any case
    "Lookup": {"table", "take"},
    "ParquetFiles": {"columns"},
    "PostgreSQL": {"columns"},
    "Qdrant": {"url", "api_key"},
    "Redact": {"patterns"},
    # its schemes are those of buckets
    "S3Listing": {"url"},
    "S3Objects": {"url"},
    "SQLTable": {"columns"},
    # references to elsewhere are refused
    "Validate": {"schema"},
    "Webhook": {"url", "headers"},
    "XML": {"fields", "namespaces"},
    "XMLMap": {"fields", "namespaces"},
}


def test_what_looks_like_an_address_or_options_is_marked_or_known_to_be_harmless() -> None:
    found: dict[str, set[str]] = {}
    for name, spec in discover(()).items():
        for parameter, declared in spec.schema.get("properties", {}).items():
            is_text = declared.get("type") == "string" and "enum" not in declared
            said = f"{declared.get('description')} {declared.get('pattern')}"
            looks = ADDRESS.search(said) if is_text else declared.get("type") == "object"
            if looks and not spec.privileged and "harmless" not in declared and declared.get("format") != "path":
                found.setdefault(name, set()).add(parameter)
    assert found == HARMLESS
