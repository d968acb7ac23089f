"""The words that go before an encoder."""

from __future__ import annotations

import pytest

from atlas.bundle.manifest import PromptTemplates
from atlas.search.prompts import query_prompt, taxon_prompts


def test_captions_follow_the_names_that_are_there() -> None:
    """A taxon without a common name would be asked for as "with common name "."""
    prompts = taxon_prompts(
        PromptTemplates(),
        ["Animalia Chordata Aves Pica hudsonia", "Rana arvalis", ""],
        ["Black-billed magpie", "", "moor frog"],
    )
    assert prompts == [
        "a photo of Animalia Chordata Aves Pica hudsonia with common name Black-billed magpie.",
        "a photo of Rana arvalis.",
        "a photo of moor frog.",
    ]


def test_a_nameless_taxon_is_refused() -> None:
    """Its caption, "a photo of .", would be near to every picture."""
    with pytest.raises(ValueError, match="no prompt"):
        taxon_prompts(PromptTemplates(), [" "], [""])
    with pytest.raises(ValueError, match="zip"):
        taxon_prompts(PromptTemplates(), ["Rana arvalis"], [])


def test_braces_and_white_space_of_a_person_are_text() -> None:
    """A brace in a question would raise a KeyError, or read a field of the template."""
    prompts = PromptTemplates(query="a photo of {text}.")
    assert query_prompt(prompts, "  frogs\n {text} {0} ") == "a photo of frogs {text} {0}."
    assert taxon_prompts(PromptTemplates(both="{scientific} {common}"), ["{common}"], ["b"]) == [
        "{common} b"
    ]
