"""The located rows of a segment in the order of their places, so that those in a box lie together.

Bands of a tenth of a degree from south to north, and from west to east in each: a box is one run of
rows in every band that it meets. Immutable and memory-mapped: safe from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atlas.bundle.mapped import map_numbers

Degrees = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
_BANDS_A_DEGREE = 10
_PIECE = 1_000_000
_ALL_AROUND = ((-180.0, 180.0),)
_BANDS = 180 * _BANDS_A_DEGREE + 1
# Files of a segment, one number a located row, and one a band and one more; little-endian.
POSITION, UNCERTAINTY = "place.row.u32", "place.uncertainty.f32"
LATITUDE, LONGITUDE = "place.latitude.f64", "place.longitude.f64"
STARTS = "place.starts.i64"
FILES = (POSITION, LATITUDE, LONGITUDE, UNCERTAINTY, STARTS)


class PlaceOrder:
    """Positions and places of located rows, (n,) each, by band and longitude.

    `row` uint32, degrees float64, `uncertainty_m` float32 with NaN where it is not known.
    """

    def __init__(
        self,
        row: npt.NDArray[np.uint32],
        latitude: Degrees,
        longitude: Degrees,
        uncertainty_m: npt.NDArray[np.float32],
        starts: Numbers,
    ) -> None:
        """Use `open`; `row` and `starts` are as `order_of` gives them."""
        self.row = row
        self.latitude = latitude
        self.longitude = longitude
        self.uncertainty_m = uncertainty_m
        self._starts = starts

    @classmethod
    def open(cls, folder: Path) -> PlaceOrder | None:
        """Map the files of a segment; None where it was made before these were kept."""
        if not any((folder / name).exists() for name in FILES):
            return None
        starts = map_numbers(folder / STARTS, np.int64, _BANDS + 1)
        located = int(starts[-1])
        return cls(
            map_numbers(folder / POSITION, np.uint32, located),
            map_numbers(folder / LATITUDE, np.float64, located),
            map_numbers(folder / LONGITUDE, np.float64, located),
            map_numbers(folder / UNCERTAINTY, np.float32, located),
            starts,
        )

    def runs(
        self, south: float, north: float, longitudes: Sequence[tuple[float, float]]
    ) -> list[slice]:
        """Runs of indices that hold all places in a box of degrees, ends included.

        Others in them lie up to a band further south or north. `longitudes` are ranges from west
        to east, apart from each other.
        """
        first, last = _band_of(np.array([south, north])).tolist()
        if tuple(longitudes) == _ALL_AROUND:
            return [slice(int(self._starts[first]), int(self._starts[last + 1]))]
        found = []
        for band in range(first, last + 1):
            start, stop = int(self._starts[band]), int(self._starts[band + 1])
            inside = self.longitude[start:stop]
            for west, east in longitudes:
                begin, end = inside.searchsorted(west, "left"), inside.searchsorted(east, "right")
                if begin < end:
                    found.append(slice(start + int(begin), start + int(end)))
        return found


def order_of(latitude: Degrees, longitude: Degrees) -> tuple[npt.NDArray[np.uint32], Numbers]:
    """Rows that have a place, by band, longitude and number, and the first index of each band.

    Takes one place a row, NaN where there is none. The last start is the number of located rows.
    """
    row = np.flatnonzero(np.isfinite(latitude) & np.isfinite(longitude)).astype(np.uint32)
    band = np.concatenate(
        [np.empty(0, np.int16)]
        + [_band_of(latitude[row[at : at + _PIECE]]) for at in range(0, len(row), _PIECE)]
    )
    # Sixteen bits are sorted in one pass over them, and 1,800 short bands quickly after that.
    row = row[np.argsort(band, kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(band, minlength=_BANDS))])
    for start, stop in pairwise(starts.tolist()):
        inside = row[start:stop]
        row[start:stop] = inside[np.argsort(longitude[inside], kind="stable")]
    return row, starts


def _band_of(latitude: Degrees) -> npt.NDArray[np.int16]:
    """Numbers of bands from the south pole on; the north pole has one of its own."""
    return np.floor((latitude + 90.0) * _BANDS_A_DEGREE).astype(np.int16)
