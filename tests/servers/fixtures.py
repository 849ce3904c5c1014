"""Fixtures of the servers that tests use: each is started when the first test asks for it, and ended with the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import imap as mailing
from tests.servers import opensearch as searching
from tests.servers import postgresql as databases
from tests.servers import qdrant as vectors
from tests.servers import redis_server as streams
from tests.servers import s3 as buckets


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a database of PostgreSQL with pgvector; tests make schemas of their own in it."""
    with databases.postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the protocol of OpenSearch; tests use indexes of their own."""
    with searching.opensearch(tmp_path_factory.mktemp("opensearch")) as url:
        yield url


@pytest.fixture(scope="session")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the protocol of Elasticsearch; tests use indexes of their own."""
    with searching.elasticsearch(tmp_path_factory.mktemp("elasticsearch")) as url:
        yield url


@pytest.fixture(scope="session")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the interface of Qdrant; tests use collections of their own."""
    with vectors.qdrant(tmp_path_factory.mktemp("qdrant")) as url:
        yield url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the protocol of S3; tests make buckets of their own."""
    with buckets.s3(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture(scope="session")
def mail_server() -> Iterator[mailing.MailServer]:
    """A server with the protocol IMAP; tests are users of their own."""
    with mailing.imap() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Redis; tests use keys of their own."""
    with streams.redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url
