"""Builds ``pypes-basic``: the components that every graph needs, registered exactly as a third party's would be."""

from pathlib import Path

from setuptools import setup

COMPONENTS = {
    "JSON": "json_adapter",
    "CSV": "csv_adapter",
    "Text": "text_adapter",
    "Files": "files",
    "FetchURL": "fetch_url",
    "SetField": "set_field",
    "CopyField": "copy_field",
    "RenameField": "rename_field",
    "DeleteField": "delete_field",
    "NormalizeCase": "normalize_case",
    "DropDocument": "drop_document",
    "Unchanged": "unchanged",
    "Template": "template",
    "Regex": "regex",
    "Validate": "validate",
    "NormalizeDate": "normalize_date",
    "Split": "split",
    "Route": "route",
    "Merge": "merge",
    "Collate": "collate",
    "Null": "null",
    "Debug": "debug",
    "JSONLines": "json_lines",
}

setup(
    name="pypes-basic",
    version="0.1.0",
    description="Basic components for Pypes: adapters, transformers, filters, operators and publishers",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=["components", "csv", "dataflow", "documents", "json", "pypes"],
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=["pypes_basic"],
    package_data={"pypes_basic": ["py.typed"]},
    install_requires=[
        "pypes-server>=0.1",
        "chardet>=5",
        "google-re2>=1.1",
        "jsonschema-rs>=0.30",
        "minijinja>=3",
        "msgspec>=0.19",
        "orjson>=3.10",
        "python-dateutil>=2.9",
        "tzdata",
        "urllib3>=2.2",
        "webencodings>=0.6",
    ],
    extras_require={"dates": ["dateparser>=1.2"]},
    entry_points={"pypes.components": [f"{name} = pypes_basic.{module}:{name}" for name, module in COMPONENTS.items()]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Text Processing",
        "Typing :: Typed",
    ],
)
