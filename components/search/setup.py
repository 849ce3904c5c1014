"""Builds ``pypes-search``: publishers to search indexes, and the commands that ask the one in a file."""

from pathlib import Path

from setuptools import setup

setup(
    name="pypes-search",
    version="0.1.0",
    description="Search indexes for Pypes: one in an SQLite file, PostgreSQL, OpenSearch, Elasticsearch and Qdrant",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=[
        "components",
        "documents",
        "elasticsearch",
        "full-text",
        "opensearch",
        "postgresql",
        "pypes",
        "qdrant",
        "search",
        "sqlite",
        "vectors",
    ],
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=["pypes_search"],
    package_data={"pypes_search": ["py.typed"]},
    install_requires=["pypes-server>=0.1", "pypes-basic>=0.1", "click>=8.1", "orjson>=3.10", "rich>=13", "urllib3>=2.2"],
    extras_require={
        # conditions on what an upsert replaces
        "qdrant": ["qdrant-client>=1.16"],
        "postgresql": ["psycopg[binary]>=3.2"],
        # searching by vectors; they are stored without it
        "vectors": ["numpy>=1.26"],
    },
    entry_points={
        "pypes.components": [
            "Elasticsearch = pypes_search.opensearch:Elasticsearch",
            "OpenSearch = pypes_search.opensearch:OpenSearch",
            "PostgreSQL = pypes_search.postgresql:PostgreSQL",
            "Qdrant = pypes_search.qdrant:Qdrant",
            "SQLiteSearch = pypes_search.sqlite_search:SQLiteSearch",
        ],
        "pypes.commands": ["search = pypes_search.command:search", "ask = pypes_search.command:ask"],
        "console_scripts": ["pypes-search = pypes_search.command:search"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Text Processing :: Indexing",
        "Typing :: Typed",
    ],
)
