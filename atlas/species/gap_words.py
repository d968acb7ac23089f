"""Why a cell is worth a visit, in one or two sentences that a person can check. Pure.

Says "recorded", "searched, not recorded" and "not searched"; every richness is "at least".
"""

from __future__ import annotations

from typing import Literal

import msgspec

from atlas.species.gap_ranking import DAYS_A_YEAR
from atlas.species.gaps import SamplingState

BorrowedFrom = Literal["cells around", "the region", "the whole atlas"]
_ELSEWHERE: dict[BorrowedFrom, str] = {
    "the region": "in the wider region",
    "the whole atlas": "elsewhere",
}


class Nearby(msgspec.Struct, frozen=True, kw_only=True):
    """What the cells around one were found to hold, within `rings` steps of it.

    `species_a_visit`: species met in a visit, on average; None where no cell was visited.
    `richness` is the mean of Chao2, at least, over the `assessed` cells: those with visits enough
    for it.
    """

    rings: int
    cells: int
    visited: int
    visits: int
    species_a_visit: float | None
    assessed: int
    richness: float | None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a reason is made of; `what` names the taxa asked for, `group` those who look."""

    what: str
    group: str
    state: SamplingState
    records: int
    visits: int
    species: int
    coverage: float | None
    unseen: float | None
    days_since: float | None
    first_visit: float
    borrowed_from: BorrowedFrom
    expected_new: float
    nearby: Nearby


def reason(facts: Facts) -> str:
    """The reason for a cell's place in the ranking."""
    if facts.state == "no_data":
        return f"Not searched: no record of {facts.group}. {_borrowed(facts)}"
    if facts.visits == 0:
        return (
            f"{_count(facts.records, 'record')} of {facts.what}, none of a known day, "
            f"so no visit is known. {_borrowed(facts)}"
        )
    if facts.species == 0:
        return (
            f"Searched, not recorded: {_count(facts.visits, 'visit')} for {facts.group} met no "
            f"species of {facts.what}{_ago(facts)}. {_borrowed(facts)}"
        )
    seen = f"{_count(facts.visits, 'visit')}, {_count(facts.species, 'species')}{_ago(facts)}"
    if facts.state == "insufficient":
        return f"{seen}: too few to say how complete that is. {_expected(facts)}"
    known = (
        f"{seen}: about {100 * (facts.coverage or 0.0):.0f} % of what a visit meets is of "
        f"species already recorded, and {_unseen(facts)}"
    )
    return f"{known}. {_expected(facts)}"


def _borrowed(facts: Facts) -> str:
    near = facts.nearby
    if near.species_a_visit is None and facts.first_visit == 0.0:
        return f"No visit is known within {near.rings} rings, nor in the wider region."
    if near.species_a_visit is None:
        return (
            f"No cell within {near.rings} rings was searched either; "
            f"{_ELSEWHERE[facts.borrowed_from]} a visit meets "
            f"{_number(facts.first_visit)} species."
        )
    return (
        f"In the cells around it {_count(near.visits, 'visit')} in "
        f"{_count(near.visited, 'cell')} met {_number(near.species_a_visit)} species each"
        f"{_richness(near)}; {_first(facts)}."
    )


def _first(facts: Facts) -> str:
    if facts.visits:
        return f"the next visit is expected to add {_number(facts.expected_new)} species"
    return f"a first visit is expected to meet {_number(facts.expected_new)}"


def _richness(near: Nearby) -> str:
    if near.richness is None:
        return ""
    return f", of at least {near.richness:.0f} a cell"


def _expected(facts: Facts) -> str:
    return f"The next visit is expected to add {_number(facts.expected_new)} species."


def _unseen(facts: Facts) -> str:
    unseen = facts.unseen or 0.0
    if unseen < 0.5:
        return "no further species is estimated"
    return f"at least {unseen:.0f} more species are estimated"


def _ago(facts: Facts) -> str:
    if facts.days_since is None:
        return ""
    if facts.days_since < 2 * 365:
        return f", the last {_count(int(facts.days_since), 'day')} ago"
    return f", the last {facts.days_since / DAYS_A_YEAR:.0f} years ago"


def _count(number: int, noun: str) -> str:
    plural = noun if number == 1 or noun == "species" else f"{noun}s"
    return f"{number:,} {plural}"


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 0.1 else f"{value:.2g}"
