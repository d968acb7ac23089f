"""How alike the surroundings of cells are, from the place layers of a bundle.

Where there are layers, a cell beside the same river and at the same height says more of what lives
in another than one that is merely as near. Any thread.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from atlas.geo.cells import descendant_range, resolution_of
from atlas.geo.layers import CellValues, Layer, Layers
from atlas.geo.outlines import Cells

Floats = npt.NDArray[np.float64]
# Borders of countries are none of nature's.
_POLITICAL = frozenset({"country", "region"})
# A difference of one standard deviation among the cells around halves a weight or so.
_WIDTH = 1.0
# Of another category throughout: as far as so many standard deviations, squared.
_OTHER_CATEGORY = 2.0
_METRES_OF_LOG = 1_000.0


class Surroundings:
    """Likeness of cells by the layers of one bundle."""

    def __init__(self, layers: Layers) -> None:
        """Political layers do not count."""
        self._layers = [layer for layer in layers.all() if layer.entry.feature not in _POLITICAL]

    def likeness(self, cells: Cells) -> Floats | None:
        """How alike each of m cells, of one resolution, is to the first; (m,) from 0 to 1.

        exp(-½ D) with D the mean over layers of the squared difference, in standard deviations
        among these cells: of the mean value, or of the logarithm of the mean distance; for
        categories of the share in which the two cells differ. A cell of which a layer knows nothing
        counts there as the average cell. None without layers, or where the first cell is unknown.
        """
        differences = [
            found
            for layer in self._layers
            if (found := _squared_differences(layer, cells)) is not None
        ]
        if not differences:
            return None
        alike: Floats = np.exp(-0.5 * np.mean(differences, axis=0) / _WIDTH**2)
        return alike


def _squared_differences(layer: Layer, cells: Cells) -> Floats | None:
    """Squared differences from the first cell, (m,); None where that is not known."""
    at_cells = layer.at_cells
    if layer.entry.kind == "category":
        found = _differences_of_shares(_shares(at_cells, cells))
    else:
        values = _means(at_cells, cells)
        if layer.entry.kind == "distance":
            values = np.log1p(values / _METRES_OF_LOG)
        spread = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
        found = ((values - values[0]) / spread) ** 2 if spread else np.zeros(len(values))
        found[~np.isfinite(values)] = np.nan
    if not np.isfinite(found[0]):
        return None
    return np.where(np.isfinite(found), found, np.nanmean(found))


def _slices(at_cells: CellValues, cells: Cells) -> tuple[npt.NDArray[np.int64], ...]:
    """First and last place (exclusive) in the table of the finest cells that lie in each cell."""
    finest = int(resolution_of(at_cells.cell).max(initial=0))
    own = int(resolution_of(cells[:1])[0])
    ranges = [descendant_range(cell, max(finest, own)) for cell in cells.tolist()]
    low, high = np.array(ranges, np.uint64).T
    return (
        np.searchsorted(at_cells.cell, low),
        np.searchsorted(at_cells.cell, high, side="right"),
    )


def _means(at_cells: CellValues, cells: Cells) -> Floats:
    """Mean value of the known finest cells within each, NaN where there is none; (m,)."""
    known = np.isfinite(at_cells.value)
    totals = np.concatenate(([0.0], np.cumsum(np.where(known, at_cells.value, 0.0))))
    counts = np.concatenate(([0], np.cumsum(known)))
    first, last = _slices(at_cells, cells)
    number = counts[last] - counts[first]
    mean = np.full(len(cells), np.nan)
    np.divide(totals[last] - totals[first], number, out=mean, where=number > 0)
    return mean


def _shares(at_cells: CellValues, cells: Cells) -> Floats:
    """Share of each category among the finest cells within each cell, (m, k); NaN where none."""
    categories, place = np.unique(at_cells.value, return_inverse=True)
    shares = np.full((len(cells), len(categories)), np.nan)
    for row, (first, last) in enumerate(zip(*_slices(at_cells, cells), strict=True)):
        if last > first:
            counts = np.bincount(place[first:last], minlength=len(categories))
            shares[row] = counts / counts.sum()
    return shares


def _differences_of_shares(shares: Floats) -> Floats:
    found: Floats = _OTHER_CATEGORY * (1.0 - np.minimum(shares, shares[0]).sum(axis=1))
    return found
