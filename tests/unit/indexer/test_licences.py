"""Spellings of licences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.licences import normalise_licence

SPELLINGS = {
    "CC-BY-4.0": [
        "http://creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org/licenses/by/4.0",
        "https://creativecommons.org/licenses/by/4.0/legalcode",
        "https://creativecommons.org/licenses/by/4.0/legalcode.en",
        "https://creativecommons.org/licenses/by/4.0/deed.fr",
        "http://www.creativecommons.org/licenses/by/4.0/",
        "creativecommons.org/licenses/by/4.0/",
        "CC BY 4.0",
        "CC-BY 4.0",
        "cc-by-4.0",
        "CC_BY_4_0",
        "CC BY 4.0 International",
        "Creative Commons Attribution 4.0 International",
        "Creative Commons Attribution 4.0 International License",
        "Attribution 4.0 International (CC BY 4.0)",
        " CC  BY\n4.0 ",
    ],
    "CC-BY": ["cc-by", "CC BY", "Creative Commons Attribution"],
    "CC-BY-NC": ["cc-by-nc", "CC BY NC"],
    "CC-BY-NC-4.0": ["http://creativecommons.org/licenses/by-nc/4.0/legalcode", "CC_BY_NC_4_0"],
    "CC-BY-SA-2.5": ["CC-BY-SA 2.5", "https://creativecommons.org/licenses/by-sa/2.5/"],
    "CC-BY-SA-3.0-DE": ["https://creativecommons.org/licenses/by-sa/3.0/de/", "CC BY-SA 3.0 de"],
    "CC-BY-NC-ND-1.0": ["http://creativecommons.org/licenses/by-nd-nc/1.0/"],
    "CC-BY-NC-SA-3.0": [
        "CC BY-NC-SA 3.0 Unported",
        "Creative Commons Attribution-NonCommercial-ShareAlike 3.0",
    ],
    "CC0-1.0": [
        "CC0",
        "cc0",
        "CC0 1.0",
        "CC0_1_0",
        "CC0-1.0",
        "CC Zero",
        "Creative Commons Zero",
        "CC0 1.0 Universal",
        "http://creativecommons.org/publicdomain/zero/1.0/",
        "https://creativecommons.org/publicdomain/zero/1.0/legalcode",
    ],
    "PDM-1.0": [
        "Public Domain",
        "public domain mark 1.0",
        "http://creativecommons.org/publicdomain/mark/1.0/",
        "http://creativecommons.org/licenses/publicdomain/",
    ],
    "All-Rights-Reserved": ["All rights reserved", "© All rights reserved", "All-Rights-Reserved"],
}


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in SPELLINGS.items() for text in texts]
)
def test_spellings_come_to_one_code(code: str, text: str) -> None:
    """Would break: photos are hidden or hosted by how their licence is spelt."""
    licence = normalise_licence(text)
    assert licence is not None
    assert licence.code == code
    assert licence.recognised


@pytest.mark.parametrize("code", SPELLINGS)
def test_a_code_is_its_own_spelling(code: str) -> None:
    """Would break: the licence table, made from stored codes, forgets title and address."""
    licence = normalise_licence(code)
    assert licence is not None
    assert licence.code == code
    assert licence.title != code
    if licence.url:
        # An address leads back to the code.
        assert normalise_licence(licence.url) == licence


@pytest.mark.parametrize(
    "text",
    [
        "see https://example.org/terms",
        "CC BY 9.0",
        "CC BY-XX 4.0",
        "CC SA 4.0",
        "CC-BY-SA-ND 4.0",
        "GPL-3.0",
        "usage with permission (CC BY 4.0)",
        "CC BY-NC 4.0 (CC BY 4.0)",
    ],
)
def test_unknown_text_is_kept_verbatim(text: str) -> None:
    """Would break: a licence is guessed from text that does not state it."""
    licence = normalise_licence(text)
    assert licence is not None
    assert (licence.code, licence.recognised) == (text, False)


def test_an_unknown_address_stays_a_link() -> None:
    """Would break: people cannot follow a publisher's own licence page."""
    licence = normalise_licence("https://example.org/terms")
    assert licence is not None
    assert licence.url == "https://example.org/terms"


def test_nothing_is_no_licence() -> None:
    """Would break: an empty cell becomes a licence called ""."""
    assert normalise_licence(" \n") is None


@given(st.text(max_size=60))
def test_codes_are_stable(text: str) -> None:
    """Would break: reading a stored code again gives another code."""
    licence = normalise_licence(text)
    if licence is not None:
        again = normalise_licence(licence.code)
        assert again is not None
        assert again.code == licence.code
