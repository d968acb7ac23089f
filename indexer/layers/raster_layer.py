"""Layers from a raster: a quantity between two bounds, or a category, for each record.

Reads the raster tile by tile, once for every ten million rows. One thread.
"""

from __future__ import annotations

import csv
from pathlib import Path

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from atlas.errors import PlanError
from atlas.geo.cells import FINEST
from atlas.geo.layers import CERTAIN, NAMES, OR_OUTSIDE, OUTSIDE, UNKNOWN, Category
from atlas.geo.outlines import Cells, Floats, Integers
from indexer.layers.columns import Made, Names, write_category, write_cells, write_interval
from indexer.layers.places import (
    Places,
    RowFiles,
    SegmentRows,
    centres,
    groups_of_places,
    occupied_cells,
)
from indexer.layers.raster_file import Bounds, RasterFile
from indexer.progress import Watcher

VALUE_RULE = (
    "the least and the greatest of the pixels within the record's uncertainty; of a cell, of 49 "
    "points spread over it"
)
PIXEL_RULE = "the pixel that holds the record's coordinates; of a cell, of its centre"
# What a pixel without a category is read as: no raster holds it.
_NONE = -(2.0**40)
_STEPS, _CHUNK_CELLS = 2, 20_000


def make_values(
    raster: RasterFile,
    files: RowFiles,
    folder: Path,
    cells_name: str,
    watcher: Watcher,
) -> Made:
    """Write the bounds of every row, and the mean, least and greatest of every occupied cell."""
    cells = occupied_cells(files)
    for places in groups_of_places(files):
        with watcher.stage("layer", len(places.latitude), "places") as advance:
            for rows in places.rows:
                found, of = _bounds(raster, places, rows)
                known = of >= 0
                low, high = (np.where(known, bound[of], np.nan) for bound in found)
                write_interval(
                    folder,
                    rows,
                    np.where(np.isnan(low), -np.inf, low),
                    np.where(np.isnan(high), np.inf, high),
                )
            advance(len(places.latitude))
    mean, least, most = _of_cells(raster, cells)
    write_cells(
        folder / cells_name,
        cells,
        {
            name: values.astype(np.float32)
            for name, values in (("mean", mean), ("least", least), ("greatest", most))
        },
    )
    return Made(features=1)


def make_pixel_categories(
    raster: RasterFile,
    files: RowFiles,
    folder: Path,
    cells_name: str,
    named: dict[int, tuple[str, str]],
    watcher: Watcher,
) -> Made:
    """Write the category of every row and every occupied cell; `named` has names and codes."""
    names = _Numbers(named)
    cells = occupied_cells(files)
    for places in groups_of_places(files):
        with watcher.stage("layer", len(places.latitude), "places") as advance:
            centre = raster.bounds(
                places.latitude, places.longitude, np.zeros(len(places.latitude)), _NONE
            ).low
            for rows in places.rows:
                found, of = _bounds(raster, places, rows, _NONE)
                value, other = _categories(names, centre, found, of, rows)
                write_category(folder / rows.name, Category(value, other))
            advance(len(places.latitude))
    latitude, longitude = centres(cells)
    at_cells = raster.bounds(latitude, longitude, np.zeros(len(cells)), _NONE).low
    write_cells(folder / cells_name, cells, {"value": names.of(at_cells)})
    names.write(folder / NAMES)
    return Made(named=True, features=1)


def _bounds(
    raster: RasterFile, places: Places, rows: SegmentRows, outside: float = np.nan
) -> tuple[Bounds, Integers]:
    """Bounds of the distinct places and uncertainties, and which are each row's; -1 for none."""
    known = np.flatnonzero((rows.place >= 0) & np.isfinite(rows.uncertainty_m))
    pairs = rows.place[known] + 1j * rows.uncertainty_m[known]
    distinct, index = np.unique(pairs, return_inverse=True)
    place = distinct.real.astype(np.int64)
    of = np.full(len(rows.place), -1, np.int64)
    of[known] = index
    found = raster.bounds(
        places.latitude[place], places.longitude[place], distinct.imag.copy(), outside
    )
    # One more, so that a row without a place can be looked up too.
    return Bounds(np.append(found.low, np.nan), np.append(found.high, np.nan)), of


def _categories(
    names: _Numbers, centre: Floats, found: Bounds, of: Integers, rows: SegmentRows
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    low, high = found.low[of], found.high[of]
    at = np.append(centre, np.nan)[rows.place]
    value = names.of(at)
    value[(of < 0) | np.isnan(at)] = UNKNOWN
    least, most = names.of(low), names.of(high)
    other = np.where(least != value, least, most)
    other = np.where(other == OUTSIDE, np.int32(OR_OUTSIDE), other)
    other[low == high] = CERTAIN
    other[(of < 0) | np.isnan(low)] = UNKNOWN
    return value, other.astype(np.int32)


class _Numbers:
    """Numbers of a raster as numbers of names, which begin at 1; a pixel without one is OUTSIDE."""

    def __init__(self, named: dict[int, tuple[str, str]]) -> None:
        self._named = named
        self._names = Names()

    def of(self, pixels: Floats) -> NDArray[np.int32]:
        distinct, index = np.unique(pixels, return_inverse=True)
        numbers = [self._number(pixel) for pixel in distinct.tolist()]
        return np.array(numbers, np.int32)[index]

    def _number(self, pixel: float) -> int:
        if pixel == _NONE or np.isnan(pixel):
            return OUTSIDE
        name, code = self._named.get(int(pixel), (f"{int(pixel)}", ""))
        return int(self._names.numbers([name], [code or f"{int(pixel)}"])[0])

    def write(self, path: Path) -> None:
        self._names.write(path)


def read_names(path: Path | None) -> dict[int, tuple[str, str]]:
    """Names of a raster's numbers from a CSV file with the columns value, name and maybe code."""
    if path is None:
        return {}
    named = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                try:
                    named[int(row["value"])] = (row["name"], row.get("code") or "")
                except (KeyError, ValueError, TypeError) as error:
                    raise PlanError(path, "needs a whole `value` and a `name`", number) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(path, f"cannot be read: {error}") from error
    return named


def _of_cells(raster: RasterFile, cells: Cells) -> tuple[Floats, Floats, Floats]:
    """Mean, least and greatest pixel at the centres of each cell's grandchildren; NaN for none."""
    found = [np.empty((3, 0))]
    for first in range(0, len(cells), _CHUNK_CELLS):
        some = cells[first : first + _CHUNK_CELLS].tolist()
        points = [
            h3.cell_to_children(cell, min(FINEST, h3.get_resolution(cell) + _STEPS))
            for cell in some
        ]
        owner = np.repeat(np.arange(len(some)), [len(inside) for inside in points])
        flat = np.array([point for inside in points for point in inside], np.uint64)
        at = raster.bounds(*centres(flat), np.zeros(len(flat))).low
        known = np.isfinite(at)
        count = np.bincount(owner[known], minlength=len(some))
        least, most = np.full(len(some), np.inf), np.full(len(some), -np.inf)
        np.minimum.at(least, owner[known], at[known])
        np.maximum.at(most, owner[known], at[known])
        with np.errstate(invalid="ignore"):
            mean = np.bincount(owner[known], at[known], len(some)) / count
        found.append(np.where(count > 0, [mean, least, most], np.nan))
    mean, least, most = np.concatenate(found, axis=1)
    return mean, least, most
