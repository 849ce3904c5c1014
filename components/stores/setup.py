"""Builds ``pypes-stores``: publishers to tables, and sources, each registered through an entry point."""

from pathlib import Path

from setuptools import setup

EXTRAS = {
    "parquet": ["pyarrow>=18"],
    "postgresql": ["psycopg[binary]>=3.2"],
    "redis": ["redis>=5"],
    # S3, Google Cloud and Azure in one library of native code
    "s3": ["obstore>=0.8"],
}

setup(
    name="pypes-stores",
    version="0.1.0",
    description="Publishers of Pypes to tables, webhooks, buckets and Parquet files, and sources",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=["components", "database", "documents", "pypes", "sql"],
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=["pypes_stores"],
    package_data={"pypes_stores": ["py.typed"]},
    install_requires=["pypes-server>=0.1", "pypes-basic>=0.1", "orjson>=3.10", "urllib3>=2.2"],
    extras_require={**EXTRAS, "all": sorted({each for needed in EXTRAS.values() for each in needed})},
    entry_points={
        "pypes.components": [
            "HTTPPoll = pypes_stores.http_poll:HTTPPoll",
            "IMAP = pypes_stores.imap:IMAP",
            "ParquetFiles = pypes_stores.parquet_files:ParquetFiles",
            "RedisConsumer = pypes_stores.redis_consumer:RedisConsumer",
            "RedisStream = pypes_stores.redis_stream:RedisStream",
            "S3Listing = pypes_stores.s3_listing:S3Listing",
            "S3Objects = pypes_stores.s3_objects:S3Objects",
            "SQLQuery = pypes_stores.sql_query:SQLQuery",
            "SQLTable = pypes_stores.sql_table:SQLTable",
            "Webhook = pypes_stores.webhook:Webhook",
        ],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Database",
        "Typing :: Typed",
    ],
)
