"""The example graph for mails on a real node: a sample mail with what is attached to it goes where the graph's picture says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, running, until

ROOT = Path(__file__).parent.parent
GRAPH = json.loads((ROOT / "graphs" / "examples" / "mail-triage.json").read_text(encoding="utf-8"))
MAIL = (ROOT / "samples" / "exhibition.eml").read_bytes()


def send(node: Node, method: str, body: bytes = b"") -> None:
    headers = {"Content-Type": "message/rfc822"} if body else {}
    answer = node.http.request(method, f"{node.url}/docs/mail/exhibition", body=body or None, headers=headers)
    assert answer.status == 202, answer.data
    found = node.get(f"/receipts/{answer.json()['receipt']}?wait=30").json()
    assert (found["state"], found["failed"]) == ("done", 0), found


def hits(node: Node, question: str) -> list[Any]:
    found: list[Any] = node.get(f"/search?graph=mail-triage&q={question}").json()["hits"]
    return found


def requests(node: Node) -> list[Any]:
    """The results that wait for whoever answers mails, and are acknowledged."""
    given = node.get("/outbox/requests?wait=10").json()
    assert node.http.request("DELETE", f"{node.url}/outbox/requests/{given['cursor']}").status == 200
    found: list[Any] = given["results"]
    return found


def test_a_mail_and_its_attachment(tmp_path: Path) -> None:
    with running(tmp_path, GRAPH, workers=1, instances=2) as node:
        send(node, "POST", MAIL.replace(b"bring the card", b"ask ada@example.org to bring the card"))
        (result,) = requests(node)
        assert (result["document"], result["complete"]) == ("exhibition", True)
        assert result["fields"]["title"] == "Exhibition of punched cards"
        assert "Please ask [email] to bring the card punch down" in result["fields"]["text"]
        assert [hit["document"] for hit in hits(node, "insured")] == ["exhibition"]
        assert hits(node, "north+hall")[0]["citation"]

        archive = tmp_path / "data" / "mail.jsonl"
        lines = [json.loads(line) for line in archive.read_text().splitlines()]
        assert [line.get("part") for line in lines] == ["", "attachment=loans.txt", None]
        assert lines[-1]["complete"]
        assert "ada@" not in archive.read_text()

        # a version that asks for nothing, without the attachment
        send(node, "POST", b"From: Museum <office@example.org>\nSubject: Exhibition\n\nThe exhibition is over.\n")
        assert (hits(node, "insured"), len(hits(node, "over"))) == ([], 1)
        send(node, "DELETE")
        assert hits(node, "over") == []
        assert [(each["document"], each.get("deleted")) for each in requests(node)] == [("exhibition", True)]
        until(lambda: node.get("/outbox").json()[0]["waiting"] == 0, 10, "nothing left")
