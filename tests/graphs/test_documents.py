"""The graph ``documents`` on a real node: files of many kinds are found with their places, and a second post costs nothing."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pypdf import PdfReader

from pypes.testing.node import Node, running
from tests.snippets import ROOT

SAMPLES = ROOT / "samples"
GRAPH = json.loads((ROOT / "graphs" / "documents.json").read_text(encoding="utf-8"))
TYPES = {".pdf": "application/pdf", ".eml": "message/rfc822"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("documents"), GRAPH, workers=1, instances=2) as node:
        yield node


def post(node: Node, name: str, data: bytes, content_type: str = "") -> str:
    """Post a file under its name; returns what became of it."""
    kind = content_type or TYPES.get(Path(name).suffix, "application/octet-stream")
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    answer = node.post(data, f"/docs/files/{name}", kind, **headers)
    assert answer.status == 202, answer.data
    receipt = answer.json()["receipt"]
    assert node.get(f"/receipts/{receipt}?wait=30").json()["state"] in ("done", "failed")
    (document,) = node.get(f"/receipts/{receipt}/documents").json()["documents"]
    return str(document["outcome"])


def hits(node: Node, words: str, *, by_words: bool = True, **more: str) -> list[dict[str, Any]]:
    """What ``GET /search`` finds: by its words alone, since by vectors there is always something that comes nearest."""
    query = "&".join(f"{name}={quote(value)}" for name, value in {"q": words, **more}.items())
    answer = node.get(f"/search?{query}")
    assert answer.status == 200, answer.data
    return [hit for hit in answer.json()["hits"] if not by_words or "words" in hit.get("ranks", {"words": 1})]


def test_all_samples_are_published_and_a_second_post_is_held_back(node: Node) -> None:
    files = sorted(path for path in SAMPLES.iterdir() if path.name != "README.md")
    assert [post(node, path.name, path.read_bytes()) for path in files] == ["published"] * len(files)
    assert [post(node, path.name, path.read_bytes()) for path in files] == ["dropped"] * len(files)
    assert {hit["citation"]["file"] for hit in hits(node, "loom OR engine OR cards", limit="100")} >= {
        "jacquard-loom.pdf", "analytical-engine.docx", "exhibition.eml", "talk.pptx", "handbook.epub",
    }  # fmt: skip


def test_every_hit_in_a_pdf_stands_on_its_page(node: Node) -> None:
    data = (SAMPLES / "jacquard-loom.pdf").read_bytes()
    post(node, "jacquard-loom.pdf", data)
    pages = ["".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(data)).pages]
    found = [hit for hit in hits(node, "the OR a", limit="100") if hit["citation"]["file"] == "jacquard-loom.pdf"]
    assert {hit["citation"]["page"] for hit in found} == {1, 2, 3}
    for hit in found:
        words = "".join(hit["snippet"].replace("[", "").replace("]", "").strip("…").split())
        assert words in pages[hit["citation"]["page"] - 1]


def test_meaning_finds_what_the_words_do_not(node: Node) -> None:
    post(node, "jacquard-loom.pdf", (SAMPLES / "jacquard-loom.pdf").read_bytes())
    found = hits(node, "fabric textile weavers", by_words=False, limit="5")
    assert any(hit["ranks"].get("vector") for hit in found)


def test_a_mail_is_replaced_and_removed_with_what_is_attached_to_it(node: Node) -> None:
    mail = message_from_bytes((SAMPLES / "exhibition.eml").read_bytes(), policy=policy.default)
    assert isinstance(mail, EmailMessage)
    mail.replace_header("Subject", "A mail of the test")
    (attached,) = mail.iter_attachments()
    name = attached.get_filename()
    outcomes = []
    for word in ("quipu", "abacus"):
        attached.set_content(f"We lend a {word}.\n", filename=name)
        outcomes.append(post(node, "mail.eml", mail.as_bytes()))
        assert [[len(hits(node, each)) for each in ("quipu", "abacus")]] == [[word == "quipu", word == "abacus"]]
    assert outcomes == ["published", "published"]
    receipt = node.http.request("DELETE", f"{node.url}/docs/files/mail.eml").json()["receipt"]
    assert node.get(f"/receipts/{receipt}?wait=30").json()["state"] == "done"
    assert hits(node, "abacus") == []
    assert [hit for hit in hits(node, "exhibition", limit="50") if hit["title"] == "A mail of the test"] == []


def test_what_is_attached_is_cited_with_the_mail_in_which_it_lies(node: Node) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Animals", "ada@example.org", "bob@example.org"
    mail.set_content("See what is attached.")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner/quokka.txt", "A quokka smiles.")
    mail.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename="files.zip")
    assert post(node, "animals.eml", mail.as_bytes()) == "published"
    (hit,) = hits(node, "quokka smiles")
    assert hit["citation"]["file"] == "inner/quokka.txt"
    assert hit["citation"]["within"] == ["animals.eml", "files.zip"]


def test_an_access_list_holds_for_all_parts(node: Node) -> None:
    packet = {"meta": {"acl": ["ada"]}, "fields": {"title": "Letter", "text": "A zoetrope for Ada.\n\n" + "And a kite. " * 300}}
    answer = node.post(json.dumps(packet).encode(), "/docs/files/letter", "application/vnd.pypes.packets+json")
    assert answer.status == 202, answer.data
    assert node.get(f"/receipts/{answer.json()['receipt']}?wait=30").json()["state"] == "done"
    assert hits(node, "zoetrope") == hits(node, "kite") == []
    assert len(hits(node, "zoetrope", principal="ada")) == 1
    assert len(hits(node, "kite", principal="ada")) > 1


def test_a_file_that_nothing_reads_is_a_dead_letter(node: Node) -> None:
    assert post(node, "program.bin", b"\x7fELF\x00\x01" * 50) == "failed"
    (letter,) = [one for one in node.get("/deadletters").json()["deadletters"] if one["filter"] == "files"]
    assert letter["code"] == "document.unknown"


def test_a_file_that_cannot_be_read_is_given_its_text(node: Node) -> None:
    assert post(node, "broken.pdf", b"%PDF-1.7 gone") == "failed"
    (letter,) = node.get("/deadletters?file=broken.pdf").json()["deadletters"]
    assert letter["filter"] == "files"
    packet = {"fields": {"text": "The shuttle was repaired by hand."}}
    assert node.http.request("PUT", f"{node.url}/deadletters/{letter['id']}", json={"packet": packet}).status == 200
    receipt = node.http.request("POST", f"{node.url}/deadletters/{letter['id']}/replay").json()["receipt"]
    assert node.get(f"/receipts/{receipt}?wait=30").json()["published"] == 1
    (hit,) = hits(node, "repaired")
    assert (hit["document"], hit["citation"]["file"]) == (letter["document"]["id"], "broken.pdf")
