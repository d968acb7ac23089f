"""Where and when made-up species are seen: land-like clusters of places, ranges, seasons.

A species lives around a few spots near its genus' home, so a region says something of the taxon.
Pure functions of the generators that are passed in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.lineages import zipf_shares

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Boxes that land fills for the most part: west, south, east, north, and a share of the records.
# Europe and North America have more than their land's part, as in every large data set.
_LANDS = (
    (-125.0, 26.0, -70.0, 55.0, 0.30),
    (-10.0, 37.0, 40.0, 65.0, 0.27),
    (-78.0, -35.0, -40.0, 8.0, 0.12),
    (-104.0, 9.0, -80.0, 24.0, 0.06),
    (-12.0, -33.0, 45.0, 32.0, 0.08),
    (60.0, 10.0, 122.0, 60.0, 0.10),
    (114.0, -38.0, 153.0, -12.0, 0.07),
)
_SPOTS = 400
_SPOTS_OF_SPECIES = 6
_OBSERVERS_OF_SPOT = 60
_FIRST_YEAR, _LAST_YEAR = 2005, 2025
_EPOCH = np.datetime64("1970-01-01")


class Seen(NamedTuple):
    """Places and days of rows: degrees, metres (NaN unknown), days since 1970, spot, observer."""

    latitude: Floats
    longitude: Floats
    uncertainty_m: Floats
    day: Ints
    spot: Ints
    observer: Ints


class Ranges:
    """The spots of the land, and which of them each species lives around."""

    def __init__(self, genera: npt.NDArray[np.int32], random: np.random.Generator) -> None:
        """`genera` (species,) is the genus of each: species of a genus live near each other."""
        shares = np.array([land[4] for land in _LANDS])
        land = random.choice(len(_LANDS), _SPOTS, p=shares / shares.sum())
        box = np.array([land[:4] for land in _LANDS])[land]
        self.longitude = random.uniform(box[:, 0], box[:, 2])
        self.latitude = random.uniform(box[:, 1], box[:, 3])
        # A city's surroundings up to a country's, in degrees.
        self.spread = random.lognormal(-0.7, 0.7, _SPOTS)
        busy = zipf_shares(_SPOTS, 0.7)
        home = random.choice(_SPOTS, int(genera.max()) + 1, p=busy)[genera]
        away = np.hypot(
            self.latitude[:, None] - self.latitude,
            np.cos(np.radians(self.latitude[:, None])) * (self.longitude[:, None] - self.longitude),
        )
        near = np.argsort(away, axis=1, kind="stable")
        species = len(genera)
        step = random.geometric(0.15, (species, _SPOTS_OF_SPECIES)) - 1
        self.spots: Ints = near[home[:, None], np.minimum(step, _SPOTS - 1)]
        # Day of the year on which a species is seen most, in the north; the south has it half a
        # year later. Narrow for a flower, wide for a tree.
        self.peak = random.normal(172.0, 30.0, species)
        self.season_days = random.uniform(12.0, 70.0, species)

    def see(self, species: npt.NDArray[np.int32], random: np.random.Generator) -> Seen:
        """Draw a place, a day and an observer for each row, given its species."""
        count = len(species)
        own = random.choice(_SPOTS_OF_SPECIES, count, p=zipf_shares(_SPOTS_OF_SPECIES, 1.0))
        spot = self.spots[species, own]
        offset = random.standard_normal((2, count)) * self.spread[spot]
        latitude = np.clip(self.latitude[spot] + offset[0], -85.0, 85.0)
        widening = np.cos(np.radians(latitude))
        longitude = (self.longitude[spot] + offset[1] / widening + 180.0) % 360.0 - 180.0
        uncertainty_m = np.round(random.lognormal(3.4, 1.2, count), 1)
        kind = random.random(count)
        uncertainty_m[kind < 0.12] = np.nan
        uncertainty_m[kind > 0.97] = 28_500.0
        return Seen(
            latitude=np.round(latitude, 5),
            longitude=np.round(longitude, 5),
            uncertainty_m=uncertainty_m,
            day=self._days(species, latitude, random),
            spot=spot,
            observer=spot * _OBSERVERS_OF_SPOT
            + random.choice(_OBSERVERS_OF_SPOT, count, p=zipf_shares(_OBSERVERS_OF_SPOT, 1.1)),
        )

    def _days(
        self, species: npt.NDArray[np.int32], latitude: Floats, random: np.random.Generator
    ) -> Ints:
        """Days since 1970: more each year, and in season, which the tropics do not have."""
        count = len(species)
        years = _LAST_YEAR - _FIRST_YEAR + 1
        year = _FIRST_YEAR + random.choice(years, count, p=zipf_shares(years, 1.0)[::-1])
        seasonal = random.normal(self.peak[species], self.season_days[species])
        seasonal = np.where(latitude < 0, seasonal + 182.5, seasonal)
        any_day = random.uniform(0.0, 365.0, count)
        of_year = np.where(np.abs(latitude) < 15.0, any_day, seasonal) % 365.0
        first = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]")
        days: Ints = (first - _EPOCH).astype(np.int64) + of_year.astype(np.int64)
        return days
