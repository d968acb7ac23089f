"""Questions that name a place, and what raw coordinates must then say of every hit.

Pure but for `raw_places`; knows nothing of how the server answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from illustrated.raw_places import coast_m, elevation_m, river_m, zones


class Record(NamedTuple):
    """Where and when a record of the table is; its uncertainty in metres, month 1 to 12."""

    latitude: float
    longitude: float
    uncertainty_m: float
    month: int


class PlaceQuestion(NamedTuple):
    """A question, and whether a record is where it says."""

    text: str
    holds: Callable[[Record], bool]


def _allowed_m(metres: float) -> float:
    """What distances may be off: one per cent or 50 m, whichever is more."""
    return max(0.01 * metres, 50.0)


def _near_rivers(record: Record) -> bool:
    metres = river_m(record.latitude, record.longitude)
    return metres + record.uncertainty_m <= 1_000 + _allowed_m(metres)


def _in_peru_in_the_wet_season(record: Record) -> bool:
    in_peru = zones(record.latitude, record.longitude) == {"America/Lima"}
    return in_peru and record.month in {11, 12, 1, 2, 3, 4}


def _above_1000_m(record: Record) -> bool:
    return elevation_m(record.latitude, record.longitude) >= 1_000


def _by_the_coast_of_kenya(record: Record) -> bool:
    metres = coast_m(record.latitude, record.longitude)
    in_kenya = "Africa/Nairobi" in zones(record.latitude, record.longitude)
    return in_kenya and metres + record.uncertainty_m <= 20_000 + _allowed_m(metres)


QUESTIONS = (
    PlaceQuestion("red-eyed frogs near rivers", _near_rivers),
    PlaceQuestion("blue butterflies in Peru in the wet season", _in_peru_in_the_wet_season),
    PlaceQuestion("mushrooms above 1000 m", _above_1000_m),
    PlaceQuestion("fish within 20 km of the coast of Kenya", _by_the_coast_of_kenya),
)
