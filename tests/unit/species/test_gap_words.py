"""The reason for a cell's place, in words that people can check."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from atlas.species.gap_words import Facts, Nearby, reason

NEARBY = Nearby(
    rings=3, cells=36, visited=5, visits=23, species_a_visit=4.26, assessed=2, richness=61.4
)
FACTS = Facts(
    what="Hylidae",
    group="Amphibia",
    state="under_sampled",
    records=40,
    visits=31,
    species=9,
    coverage=0.624,
    unseen=12.4,
    days_since=3300,
    first_visit=4.26,
    borrowed_from="cells around",
    expected_new=0.21,
    nearby=NEARBY,
)
ALONE = Nearby(
    rings=3, cells=36, visited=0, visits=0, species_a_visit=None, assessed=0, richness=None
)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {},
            "31 visits, 9 species, the last 9 years ago: about 62 % of what a visit meets is of "
            "species already recorded, and at least 12 more species are estimated. "
            "The next visit is expected to add 0.2 species.",
        ),
        (
            {"state": "well_sampled", "unseen": 0.2, "days_since": 1, "expected_new": 0.004},
            "31 visits, 9 species, the last 1 day ago: about 62 % of what a visit meets is of "
            "species already recorded, and no further species is estimated. "
            "The next visit is expected to add 0.004 species.",
        ),
        (
            {"state": "insufficient", "visits": 1, "species": 1, "days_since": 12},
            "1 visit, 1 species, the last 12 days ago: too few to say how complete that is. "
            "The next visit is expected to add 0.2 species.",
        ),
        (
            {"state": "no_data", "visits": 0, "expected_new": 3.94},
            "Not searched: no record of Amphibia. In the cells around it 23 visits in 5 cells met "
            "4.3 species each, of at least 61 a cell; a first visit is expected to meet 3.9.",
        ),
        (
            {"state": "no_data", "nearby": ALONE, "borrowed_from": "the region"},
            "Not searched: no record of Amphibia. No cell within 3 rings was searched either; in "
            "the wider region a visit meets 4.3 species.",
        ),
        (
            {"state": "no_data", "nearby": ALONE, "borrowed_from": "the whole atlas"},
            "Not searched: no record of Amphibia. No cell within 3 rings was searched either; "
            "elsewhere a visit meets 4.3 species.",
        ),
        (
            {"state": "no_data", "nearby": ALONE, "first_visit": 0.0},
            "Not searched: no record of Amphibia. No visit is known within 3 rings, nor in the "
            "wider region.",
        ),
        (
            {"state": "insufficient", "species": 0, "visits": 1200, "days_since": None},
            "Searched, not recorded: 1,200 visits for Amphibia met no species of Hylidae. In the "
            "cells around it 23 visits in 5 cells met 4.3 species each, of at least 61 a cell; "
            "the next visit is expected to add 0.2 species.",
        ),
        (
            {"state": "insufficient", "visits": 0, "records": 1, "expected_new": 3.94},
            "1 record of Hylidae, none of a known day, so no visit is known. In the cells around "
            "it 23 visits in 5 cells met 4.3 species each, of at least 61 a cell; a first visit is "
            "expected to meet 3.9.",
        ),
    ],
)
def test_reasons(changes: dict[str, Any], text: str) -> None:
    """Each state has its sentence, with its numbers, and none says that a species is not there."""
    assert reason(msgspec.structs.replace(FACTS, **changes)) == text
    assert "absent" not in text
