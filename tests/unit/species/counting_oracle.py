"""Counts of records by cell, one record after the other: what tests compare with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

import h3.api.basic_int as h3
import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One counted record; `species` is a taxon id or None."""

    cell: int
    taxon_id: int
    species: int | None
    observer: str
    first: date | None
    last: date | None
    uncertainty_m: float | None
    source: str = ""


class Tally(msgspec.Struct, kw_only=True):
    """What is gathered of one cell."""

    n: int = 0
    n_coarse: int = 0
    observers: set[str] = msgspec.field(default_factory=set)
    visits: set[tuple[date, str]] = msgspec.field(default_factory=set)
    species: dict[int, set[tuple[date, str]]] = msgspec.field(default_factory=dict)
    species_n: Counter[int] = msgspec.field(default_factory=Counter)
    species_last: dict[int, date] = msgspec.field(default_factory=dict)
    first: list[date] = msgspec.field(default_factory=list)
    last: list[date] = msgspec.field(default_factory=list)
    uncertainty_m: list[float] = msgspec.field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """The numbers as the catalog has them."""
        met = [len(visits) for visits in self.species.values()]
        return {
            "n": self.n,
            "n_coarse": self.n_coarse,
            "observers": len(self.observers),
            "visits": len(self.visits),
            "incidences": sum(met),
            "species": len(self.species),
            "q1": met.count(1),
            "q2": met.count(2),
            "first_day": min(self.first, default=None),
            "last_day": max(self.last, default=None),
            "min_uncertainty_m": min(self.uncertainty_m, default=None),
        }


def tally(records: Iterable[Record], resolution: int, finest: int) -> dict[int, Tally]:
    """Tallies by cell of one resolution, in the order of cells."""
    found: dict[int, Tally] = defaultdict(Tally)
    for record in records:
        stored = h3.get_resolution(record.cell)
        if stored >= resolution:
            one = found[h3.cell_to_parent(record.cell, resolution)]
            _add(one, record, coarse=stored == resolution < finest)
    return dict(sorted(found.items()))


def _add(one: Tally, record: Record, *, coarse: bool) -> None:
    one.n += 1
    one.n_coarse += coarse
    one.observers.add(record.observer)
    visit = None
    if record.first is not None and record.last is not None:
        one.first.append(record.first)
        one.last.append(record.last)
        visit = (record.first, record.observer) if record.first == record.last else None
    if visit:
        one.visits.add(visit)
    if record.species is not None:
        met = one.species.setdefault(record.species, set())
        one.species_n[record.species] += 1
        if visit:
            met.add(visit)
        if record.last is not None:
            before = one.species_last.get(record.species, record.last)
            one.species_last[record.species] = max(before, record.last)
    if record.uncertainty_m is not None:
        one.uncertainty_m.append(record.uncertainty_m)
