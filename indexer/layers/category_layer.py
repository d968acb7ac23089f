"""A layer of a category: which of a source's areas each record lies in, and how certain that is.

Streams the areas once for every ten million rows, and once before that to see what there is. One
thread.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atlas.errors import BuildError
from atlas.geo.layers import NAMES, Category
from atlas.geo.outlines import Floats
from indexer.layers.categories import RunningCategory
from indexer.layers.columns import Made, Names, write_category, write_cells
from indexer.layers.features import FeatureSource, survey
from indexer.layers.places import Places, RowFiles, centres, groups_of_places, occupied_cells
from indexer.progress import Watcher

AREA_RULE = (
    "the area that holds the record's coordinates, the smallest where several do; of a cell, of "
    "its centre"
)


def make_categories(
    source: FeatureSource,
    files: RowFiles,
    folder: Path,
    cells_name: str,
    watcher: Watcher,
) -> Made:
    """Write the value of every row and every occupied cell.

    Raises BuildError where the source holds no area, or areas
    without a name.
    """
    seen = survey(source, watcher)
    if seen.areas != seen.features - seen.without_geometry:
        raise BuildError("layer", "a category needs areas; the source holds points or lines, too")
    names = Names()
    cells = occupied_cells(files)
    latitude, longitude = centres(cells)
    at_cells = RunningCategory(latitude, longitude, np.zeros(len(cells)))
    also = [at_cells]
    for places in groups_of_places(files):
        at_places = RunningCategory(places.latitude, places.longitude, _reach_m(places))
        with watcher.stage("layer", seen.features, "areas") as advance:
            for features in source.features():
                numbers = names.numbers(features.name, features.code)
                if not numbers.all():
                    at = features.first + int(np.flatnonzero(numbers == 0)[0])
                    raise BuildError("layer", f"area {at} has no name; give --name-column")
                for running in (at_places, *also):
                    running.offer(features, numbers)
                advance(len(features.geometry))
        also = []
        for rows in places.rows:
            value, other = at_places.of_rows(rows.place, rows.uncertainty_m)
            write_category(folder / rows.name, Category(value, other))
    write_cells(folder / cells_name, cells, {"value": at_cells.value})
    names.write(folder / NAMES)
    return Made(named=True, features=seen.features, without_geometry=seen.without_geometry)


def _reach_m(places: Places) -> Floats:
    """The greatest uncertainty of the records at each place."""
    reach_m = np.zeros(len(places.latitude))
    for rows in places.rows:
        known = (rows.place >= 0) & np.isfinite(rows.uncertainty_m)
        np.maximum.at(reach_m, rows.place[known], rows.uncertainty_m[known])
    return reach_m
