"""Place and days of a part's records, from whole columns of Darwin Core text.

The same rules as `darwin_core.record_of`, applied once to each distinct text: a property test
holds the two together. Pure, safe from any thread.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from indexer.darwin_core import days_of, number_of, uncertainty_of
from indexer.sources.text_columns import distinct

Flags = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.float64]


class Places(NamedTuple):
    """Points in degrees with their uncertainty, NaN where unknown, and the flags of each."""

    latitude: Numbers
    longitude: Numbers
    uncertainty_m: Numbers
    flags: Flags


class Days(NamedTuple):
    """First and last day (date32, null where unknown), and the flags of each."""

    first: pa.Array
    last: pa.Array
    flags: Flags


def places_of(latitude: pa.Array, longitude: pa.Array, uncertainty: pa.Array) -> Places:
    """Read cleaned text columns of equal length; "" is not given."""
    lat, lon = _numbers(latitude), _numbers(longitude)
    given = _is_given(latitude) | _is_given(longitude)
    with np.errstate(invalid="ignore"):  # NaN is no number and lies in no range
        sound = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    zero = sound & (lat == 0) & (lon == 0)
    flags = np.where(given & ~sound, int(Flag.COORDINATES_INVALID), 0)
    flags |= np.where(zero, int(Flag.COORDINATES_ZERO), 0)
    known = sound & ~zero
    found = distinct(uncertainty)
    read = [uncertainty_of(text) for text in found.values]
    metres = found.spread([metres for metres, _ in read], pa.float64()).to_numpy()
    flags |= found.spread([int(flag) for _, flag in read], pa.int32()).to_numpy()
    return Places(
        np.where(known, lat, np.nan),
        np.where(known, lon, np.nan),
        np.where(known, metres, np.nan),
        flags.astype(np.int32),
    )


def days_of_column(event_date: pa.Array, as_of: date) -> Days:
    """Read a cleaned text column; `as_of` is the day on which the source was written."""
    found = distinct(event_date)
    read = [days_of(text, as_of) for text in found.values]
    return Days(
        found.spread([days[0] for days, _ in read], pa.date32()),
        found.spread([days[1] for days, _ in read], pa.date32()),
        found.spread([int(flag) for _, flag in read], pa.int32()).to_numpy(),
    )


def _numbers(text: pa.Array) -> Numbers:
    """NaN where the text is no number."""
    found = distinct(text)
    numbers = [number_of(value) for value in found.values]
    values = [np.nan if number is None else number for number in numbers]
    return np.asarray(found.spread(values, pa.float64()).to_numpy())


def _is_given(text: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.not_equal(text, "").to_numpy(zero_copy_only=False), bool)
