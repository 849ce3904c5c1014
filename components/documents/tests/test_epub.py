"""EPUB."""

from __future__ import annotations

import pytest

from pypes.testing import ComponentSuite
from pypes_documents.epub_adapter import EPUB

from .made import epub, zipped
from .reading import outline, read, refused

FACTS = (
    "<dc:title>On looms</dc:title><dc:creator>Ada</dc:creator><dc:creator>Luigi</dc:creator><dc:language>en</dc:language>"
    "<dc:subject>looms; cards</dc:subject><dc:date>2026-11-29</dc:date><dc:description>Of cards.</dc:description>"
    '<meta property="dcterms:modified">2026-11-30T08:00:00Z</meta>'
)

LOCKS = "META-INF/encryption.xml"
LOCKED = """<e:EncryptedData xmlns:e="http://www.w3.org/2001/04/xmlenc#" Id="ED1"><e:EncryptionMethod Algorithm="{}"/>
<e:CipherData><e:CipherReference URI="O/t/c1.xhtml"/></e:CipherData></e:EncryptedData>"""


class TestEPUB(ComponentSuite):
    component = EPUB

    def test_a_book(self) -> None:
        packet = read(EPUB, epub("<h1>One</h1><p>A loom.</p>", "<h1>Two</h1><p>A pirn.</p>", facts=FACTS))
        assert outline(packet) == ["heading1: One", "paragraph: A loom.", "heading1: Two", "paragraph: A pirn."]
        assert packet.get_attributes() == {
            "title": ["On looms"],
            "author": ["Ada", "Luigi"],
            "language": ["en"],
            "keywords": ["looms", "cards"],
            "created": ["2026-11-29"],
            "modified": ["2026-11-30T08:00:00Z"],
            "description": ["Of cards."],
            "text": [packet["text"]],
        }

    def test_fonts_may_be_obscured(self) -> None:
        fonts = LOCKED.format("http://www.idpf.org/2008/embedding") + LOCKED.format("http://ns.adobe.com/pdf/enc#RC")
        assert read(EPUB, epub("A loom.", more={LOCKS: f"<encryption>{fonts}</encryption>"}))["text"] == "A loom."

    @pytest.mark.parametrize(
        ("data", "code", "reason"),
        [
            (epub(""), "document.no_text", "no text"),
            (zipped({"a": "b"}), "document.malformed", "names no book"),
            (epub("x", more={LOCKS: "<EncryptedData></EncryptedData>"}), "document.encrypted", "DRM"),
            (epub("x", more={LOCKS: LOCKED.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")}), "document.encrypted", "DRM"),
            (epub("x", more={LOCKS: "<enc"}), "document.malformed", "META-INF/encryption.xml: "),
        ],
    )
    def test_what_cannot_be_read(self, data: bytes, code: str, reason: str) -> None:
        found = refused(EPUB, data)
        assert found[0] == code
        assert reason in found[1]
