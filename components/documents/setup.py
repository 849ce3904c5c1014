"""Builds ``pypes-documents``: adapters that read the files people have."""

from pathlib import Path

from setuptools import setup

COMPONENTS = {
    "Archive": "archive_adapter",
    "DOCX": "docx_adapter",
    "Document": "document_adapter",
    "EML": "eml_adapter",
    "EPUB": "epub_adapter",
    "HTML": "html_adapter",
    "Markdown": "markdown_adapter",
    "OCR": "ocr_adapter",
    "PDF": "pdf_adapter",
    "PPTX": "pptx_adapter",
    "Parquet": "parquet_adapter",
    "RSS": "rss_adapter",
    "SolrXML": "solr_xml_adapter",
    "Subtitles": "subtitles_adapter",
    "XLS": "xls_adapter",
    "XLSX": "xlsx_adapter",
    "XML": "xml_adapter",
    "XMLMap": "xml_map_transformer",
}

EXTRAS = {
    "aes": ["cryptography>=42"],
    "archives": ["libarchive-c>=5.1"],
    "main": ["resiliparse>=0.16"],
    "msg": ["olefile>=0.46"],
    "ocr": ["pypdfium2>=5.0"],
    "parquet": ["pyarrow>=20"],
    "pdfium": ["pypdfium2>=5.0"],
    "sheets": ["python-calamine>=0.4"],
}

setup(
    name="pypes-documents",
    version="0.1.0",
    description="Adapters for Pypes that read the files people have",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=["components", "documents", "docx", "eml", "epub", "html", "markdown", "pdf", "pptx", "pypes", "rss", "xlsx", "xml"],
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=["pypes_documents"],
    package_data={"pypes_documents": ["py.typed"]},
    install_requires=[
        "pypes-server>=0.1",
        "pypes-basic>=0.1",
        "feedparser>=6.0.11",
        "lxml>=5.3",
        "markdown-it-py>=3",
        "pypdf>=5.0",
        "selectolax>=1.0",
    ],
    extras_require=EXTRAS | {"all": sorted({need for needs in EXTRAS.values() for need in needs})},
    entry_points={"pypes.components": [f"{name} = pypes_documents.{module}:{name}" for name, module in COMPONENTS.items()]},
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
