"""Which taxon a person means on the command line."""

from __future__ import annotations

from atlas.errors import InvalidQuery
from atlas.species.names import TaxonNames


def taxon_named(names: TaxonNames, written: str) -> int:
    """The taxon id that a person wrote, or that of the taxon so named; InvalidQuery if none."""
    if written.isdecimal():
        return int(written)
    found = names.complete(written, 5)
    exact = [match for match in found if match.match == "exact"]
    if exact:
        return exact[0].taxon_id
    meant = ", ".join(f"{match.name} ({match.taxon_id})" for match in found)
    raise InvalidQuery(
        "taxon", f"no taxon is named {written!r}{'; did you mean ' if meant else ''}{meant}"
    )
