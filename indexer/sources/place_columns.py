"""Points and their uncertainty from whole columns, with what is wrong with them.

The same rules as `darwin_core`, applied once to each distinct text. Pure, safe from any thread.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from atlas.species.sensitive import snap_obscured
from indexer.darwin_core import (
    OBSCURED_UNCERTAINTY_M,
    clean,
    number_of,
    remark_of,
    uncertainty_of,
)
from indexer.sources.columns import spelled
from indexer.sources.text_columns import Passing, distinct, plain, tidied

Flags = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.float64]

_PLAIN_NUMBER = r"^-?\d{1,15}(\.\d{1,15})?$"
# Cleaned texts, as remarks are, do not hold it.
_SEPARATOR = "\x1f"


class Places(NamedTuple):
    """Points in degrees with their uncertainty, NaN where unknown, and the flags of each."""

    latitude: Numbers
    longitude: Numbers
    uncertainty_m: Numbers
    flags: Flags


def places_of(latitude: pa.Array, longitude: pa.Array, uncertainty: pa.Array) -> Places:
    """Read columns of equal length, text or numbers; "" and null are not given."""
    (lat, lat_given), (lon, lon_given) = _numbers(latitude), _numbers(longitude)
    with np.errstate(invalid="ignore"):  # NaN is no number and lies in no range
        sound = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    zero = sound & (lat == 0) & (lon == 0)
    flags = np.where((lat_given | lon_given) & ~sound, int(Flag.COORDINATES_INVALID), 0)
    flags |= np.where(zero, int(Flag.COORDINATES_ZERO), 0)
    known = sound & ~zero
    metres, wrong = _metres(uncertainty)
    flags |= wrong
    return Places(
        np.where(known, lat, np.nan),
        np.where(known, lon, np.nan),
        np.where(known, metres, np.nan),
        flags.astype(np.int32),
    )


def _metres(uncertainty: pa.Array) -> tuple[Numbers, Flags]:
    """The uncertainty of each row, NaN where unknown, and what is wrong with it."""
    if uncertainty.type == pa.float64():
        metres, given = _numbers(uncertainty)
        with np.errstate(invalid="ignore"):  # unknown is not wrong
            sound = metres > 0
        wrong = np.where(given & ~sound, np.int32(Flag.UNCERTAINTY_INVALID), np.int32(0))
        return np.where(sound, metres, np.nan), wrong
    found = distinct(tidied(spelled(uncertainty), clean))
    read = [uncertainty_of(text) for text in found.values]
    return (
        found.spread([metres for metres, _ in read], pa.float64()).to_numpy(),
        found.spread([int(flag) for _, flag in read], pa.int32()).to_numpy(),
    )


def or_unknown(numbers: Numbers) -> pa.Array:
    """The numbers, null where they are NaN."""
    return pa.array(numbers, mask=np.isnan(numbers))


def with_remarks(places: Places, withheld: pa.Array, generalised: pa.Array) -> Places:
    """The places as far as the publishers' two remarks, cleaned texts, let them be known."""
    found = distinct(pc.binary_join_element_wise(plain(withheld), plain(generalised), _SEPARATOR))
    read = [remark_of(*joined.split(_SEPARATOR, 1)) for joined in found.values]
    about = found.spread([remark.about_place for remark in read], pa.bool_())
    blurred = about.to_numpy(zero_copy_only=False)
    if not blurred.any():
        return places
    metres = found.spread([remark.uncertainty_m for remark in read], pa.float64()).to_numpy()
    square = found.spread([remark.in_square for remark in read], pa.bool_())
    in_square = square.to_numpy(zero_copy_only=False)
    stated = np.where(np.isnan(places.uncertainty_m), OBSCURED_UNCERTAINTY_M, places.uncertainty_m)
    wider = np.where(np.isnan(places.latitude), np.nan, np.maximum(metres, stated))
    latitude, longitude = snap_obscured(places.latitude, places.longitude)
    return Places(
        np.where(in_square, latitude, places.latitude),
        np.where(in_square, longitude, places.longitude),
        np.where(blurred, wider, places.uncertainty_m),
        places.flags | np.where(blurred, np.int32(Flag.LOCATION_OBSCURED), np.int32(0)),
    )


def _numbers(column: pa.Array) -> tuple[Numbers, Passing]:
    """The numbers of a column, NaN where it has none, and where anything at all is given."""
    kind = column.type
    if kind == pa.float64() or pa.types.is_integer(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        given = ~np.isnan(values)
        return np.where(np.isfinite(values), values, np.nan), given
    text = plain(spelled(column))
    sound = pc.match_substring_regex(text, _PLAIN_NUMBER)
    numbers = pc.if_else(sound, text, pa.scalar(None, pa.string())).cast(pa.float64())
    values = numbers.to_numpy(zero_copy_only=False).copy()
    given = sound.to_numpy(zero_copy_only=False).copy()
    others = np.flatnonzero(~given)
    if len(others):
        found = distinct(tidied(text.take(pa.array(others)), clean))
        read = [number_of(value) for value in found.values]
        values[others] = found.spread(
            [np.nan if number is None else number for number in read], pa.float64()
        ).to_numpy()
        given[others] = found.spread([value != "" for value in found.values], pa.bool_()).to_numpy(
            zero_copy_only=False
        )
    return values, given
