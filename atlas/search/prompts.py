"""How words are put before an encoder: query text, and the names of taxa.

BioCLIP learned from captions of five kinds: the lineage ("Animalia Chordata … Pica hudsonia"),
the scientific name, the common name, and the first two "with common name" the third, each inside
CLIP's "a photo of …." templates. The defaults of `PromptTemplates` are those captions. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from atlas.bundle.manifest import PromptTemplates


def query_prompt(prompts: PromptTemplates, text: str) -> str:
    """The words of a person as the encoder reads them; runs of white space become one blank."""
    return _filled(prompts.query, text=text)


def taxon_prompts(
    prompts: PromptTemplates, scientific: Sequence[str], common: Sequence[str]
) -> list[str]:
    """One caption for each taxon.

    `scientific[i]` is the lineage joined by blanks, or the scientific name alone; `common[i]` its
    common name; either may be "". The template follows from what is there; a taxon with neither
    name is a ValueError, because its caption would match everything.
    """
    return [
        _taxon_prompt(prompts, latin.strip(), vernacular.strip())
        for latin, vernacular in zip(scientific, common, strict=True)
    ]


def _taxon_prompt(prompts: PromptTemplates, scientific: str, common: str) -> str:
    if scientific and common:
        return _filled(prompts.both, scientific=scientific, common=common)
    if scientific:
        return _filled(prompts.scientific, scientific=scientific)
    if common:
        return _filled(prompts.common, common=common)
    raise ValueError("a taxon without a scientific and a common name has no prompt")


def _filled(template: str, **words: str) -> str:
    """Fill a template in one pass: a brace in a person's text is text, never a field."""

    def value(field: re.Match[str]) -> str:
        return " ".join(words[field[1]].split()) if field[1] in words else field[0]

    return re.sub(r"\{(\w+)\}", value, template)
