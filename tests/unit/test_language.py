"""Which language a message is in."""

from __future__ import annotations

import pytest

from models.language import identify


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is my parcel?", "en"),
        ("Danke, sehr gut", "de"),
        ("Wo ist mein Paket?", "de"),
        ("Je veux annuler ma commande", "fr"),
        ("\u00bfD\u00f3nde est\u00e1 mi pedido?", "es"),
        ("Onde est\u00e1 o meu pedido?", "pt"),
        ("Waar is mijn bestelling?", "nl"),
        ("\u0421\u043f\u0430\u0441\u0438\u0431\u043e", "ru"),
        ("\u0414\u044f\u043a\u0443\u044e, \u0449\u0435 \u0454", "uk"),
        ("\u3042\u308a\u304c\u3068\u3046", "ja"),
        ("\u8c22\u8c22", "zh"),
        ("\uac10\uc0ac\ud569\ub2c8\ub2e4", "ko"),
        ("\u0634\u0643\u0631\u0627", "ar"),
        ("\u10d2\u10db\u10d0\u10d3\u10da\u10dd\u10d1\u10d7", "mis"),
        ("<p>Where is <b>it</b>?</p>", "en"),
        ("I love the caf\u00e9 at my \u041c\u043e\u0441\u043a\u0432\u0430 hotel", "en"),
        ("refund!!", "und"),
        ("\U0001f600\U0001f621", "zxx"),
        ("https://example.org/die-und-das", "zxx"),
        ("12345 !!", "zxx"),
        ("\ud800", "zxx"),
        ("", "zxx"),
    ],
)
def test_a_text_is_in_the_language_of_its_script_or_of_its_function_words(text: str, language: str) -> None:
    assert identify(text) == language


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert identify("the " * 250 + "und ich nicht " * 10_000) == "en"
