"""Language: what a text is written in, where that can be told."""

from __future__ import annotations

import pytest

from pypes import Packet, Pipeline
from pypes.testing import run_component
from pypes_text.language import Language
from tests.needed import library

library("fasttext", "pypes-text[language]")

# ruff: noqa: RUF001
TEXTS = {
    "en": "The cards choose the threads of the warp, and the weaver throws the shuttle.",
    "de": "Die Karten wählen die Fäden der Kette, und der Weber wirft das Schiffchen.",
    "fr": "Les cartes choisissent les fils de la chaîne, et le tisserand lance la navette.",
    "es": "Las tarjetas eligen los hilos de la urdimbre y el tejedor lanza la lanzadera.",
    "ru": "Карты выбирают нити основы, а ткач бросает челнок.",
    "ja": "カードが経糸を選び、織り手が杼を投げます。とても静かな朝です。",
    "zh": "卡片选择经线，织工投梭。这是一个非常安静的早晨，大家都在工作。",
    "ar": "تختار البطاقات خيوط السداة ويرمي النساج المكوك في الصباح.",
}


@pytest.mark.parametrize("language", TEXTS)
def test_languages(language: str) -> None:
    for text in (TEXTS[language], TEXTS[language].upper(), TEXTS[language] * 100):
        [packet] = run_component(Language, [Packet({"text": text})]).packets
        assert packet["language"] == language


def test_what_the_document_says_stays() -> None:
    packet = Packet({"text": TEXTS["en"], "language": "pt-BR"})
    assert run_component(Language, [packet.clone()]).packets[0]["language"] == "pt-BR"
    assert run_component(Language, [packet.clone()], overwrite=True).packets[0]["language"] == "en"


def test_what_cannot_be_told_is_not_said_and_counted() -> None:
    with Pipeline(nodes={"language": Language}) as pipeline:
        texts = ["ok", "12345 67890 12345 67890 12345", "", "qx zkwj vbn qqrt zzxw kjhg wqpz", "\ud800" * 30]
        packets = pipeline.push([Packet({"text": text}) for text in texts])
        assert not pipeline.dead_letters
        assert [packet.get("language") for packet in packets] == [None] * len(texts)
        assert pipeline.counts["language"] == {"unknown": len(texts)}


@pytest.mark.parametrize("language", TEXTS)
def test_only_the_languages_that_there_can_be(language: str) -> None:
    for length in (1, 100):
        result = run_component(Language, [Packet({"text": TEXTS[language] * length})], languages=["de", "en"], confidence=0)
        assert result.packets[0].get("language") == (language if language in ("de", "en") else None)
        assert result.counts == ({} if language in ("de", "en") else {"unknown": 1})


def test_of_near_relatives_the_one_that_there_can_be() -> None:
    packet = Packet({"text": "Kortene velger trådene i renningen, og veveren kaster skyttelen."})
    assert run_component(Language, [packet.clone()], confidence=0).packets[0]["language"] == "da"
    assert run_component(Language, [packet.clone()], languages=["nb", "en"]).packets[0]["language"] == "nb"


def test_a_title_page_in_another_language_does_not_decide() -> None:
    text = TEXTS["en"] * 6 + TEXTS["de"] * 200
    assert run_component(Language, [Packet({"text": text})]).packets[0]["language"] == "de"
