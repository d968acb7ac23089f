"""What a plan adds to columns of Darwin Core: values for every row, and the genus of binomials.

Works on whole columns. Pure, safe from any thread.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from atlas.species.taxa import canonical_name
from indexer.darwin_core import clean_name
from indexer.sources.columns import Columns
from indexer.sources.text_columns import filled, tidied


def completed(
    given: Mapping[str, pa.Array], rows: int, *, constant: Mapping[str, str], genus_from_name: bool
) -> dict[str, pa.Array]:
    """The columns with constants, and the genus of binomials, where they are empty."""
    columns = dict(given)
    for name, text in constant.items():
        columns[name] = filled(columns.get(name), pa.scalar(text, pa.string()), rows)
    if genus_from_name:
        names = Columns(columns, rows).text("scientificName", is_name=True)
        columns["genus"] = filled(columns.get("genus"), tidied(names, genus_of), rows)
    return columns


def genus_of(scientific_name: str) -> str:
    """The genus of a binomial or longer name, "" for any other ("Canis cf. lupus" included)."""
    words = canonical_name(clean_name(scientific_name)).split()
    if len(words) < 2 or not words[0][:1].isupper() or not words[0].isalpha():
        return ""
    plain = all(word.replace("-", "").isalpha() and word.islower() for word in words[1:2])
    return words[0] if plain else ""
