"""Species by cell, with visits: what the tests of the estimators are made from.

One real table, ATLANTIC BIRDS (Hasui et al. 2018, Ecology 99:497), is read where it is present;
made-up ones come from `virtual_species`. Pure functions of files; nothing here knows a bundle.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from atlas.geo.cells import cells_of
from atlas.species.completeness import CompletenessArrays, completeness_of

Cells = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_BIRDS = "atlantic-occurrences/ATLANTIC_BIRDS_qualitative.zip"
# The Atlantic Forest with its surroundings: the table's few points outside are typing errors.
_WEST, _SOUTH, _EAST, _NORTH = -60.0, -35.0, -33.0, -3.0


class Community(NamedTuple):
    """Species (s,) in cells (m,): `records` and `incidences` (m, s), `visits` (m,).

    `latitude` and `longitude` (m,) are the mean of the records; `lives` (m, s) is the truth where
    the world is made up, else None.
    """

    world: str
    cells: Cells
    latitude: Floats
    longitude: Floats
    records: Ints
    incidences: Ints
    visits: Ints
    lives: Flags | None

    def completeness(self) -> CompletenessArrays:
        """Coverage and richness of every cell, by visits."""
        seen = self.incidences
        once, twice = (seen == 1).sum(axis=1), (seen == 2).sum(axis=1)
        species = (seen > 0).sum(axis=1)
        return completeness_of(species, once, twice, self.visits, seen.sum(axis=1))


class Visited(NamedTuple):
    """Records, one a row: place, species number, and the number of the visit it was made on."""

    latitude: Floats
    longitude: Floats
    species: Ints
    visit: Ints


class Met(NamedTuple):
    """Which species was met on which visit, and in which cell: numbers (k,), each meeting once."""

    cell: Ints
    visit: Ints
    species: Ints


def meetings(visited: Visited, resolution: int) -> Met:
    """Each species once a visit; a visit whose places lie in two cells counts as two."""
    cell = np.unique(
        cells_of(visited.latitude, visited.longitude, resolution), return_inverse=True
    )[1]
    visit = np.unique(np.stack([cell, visited.visit]), axis=1, return_inverse=True)[1]
    return Met(*np.unique(np.stack([cell, visit, visited.species]), axis=1))


def gather(world: str, visited: Visited, resolution: int) -> Community:
    """Count records, and visits with each species, by cell."""
    cells, cell = np.unique(
        cells_of(visited.latitude, visited.longitude, resolution), return_inverse=True
    )
    count, species = len(cells), int(visited.species.max()) + 1
    records = np.zeros((count, species), np.int64)
    np.add.at(records, (cell, visited.species), 1)
    met = meetings(visited, resolution)
    incidences = np.zeros((count, species), np.int64)
    np.add.at(incidences, (met.cell, met.species), 1)
    _, first = np.unique(met.visit, return_index=True)
    size = np.bincount(cell)
    return Community(
        world=world,
        cells=cells,
        latitude=np.bincount(cell, visited.latitude) / size,
        longitude=np.bincount(cell, visited.longitude) / size,
        records=records,
        incidences=incidences,
        visits=np.bincount(met.cell[first], minlength=count),
        lives=None,
    )


def real_data() -> Path:
    """Where real data lies beside the checkout; ATLAS_SHARED_DATA names another place."""
    stated = os.environ.get("ATLAS_SHARED_DATA")
    return Path(stated) if stated else Path(__file__).parents[2] / "shared" / "data"


def read_atlantic_birds(folder: Path) -> tuple[Visited, Mapping[str, int]]:
    """The table's usable records, and how many of its rows were left out, by reason.

    It has no days and hardly any observers: a visit is one place in one year by one reference, and
    by one source where no reference is named. `FileNotFoundError` where the table is not there.
    """
    with zipfile.ZipFile(folder / _BIRDS) as archive:
        text = archive.read(archive.namelist()[0])
    names = ["Latitude_y", "Longitude_x", "Species", "Year", "ID_codref", "Source"]
    table = csv.read_csv(
        io.BytesIO(text),
        read_options=csv.ReadOptions(encoding="latin-1"),
        convert_options=csv.ConvertOptions(
            include_columns=names,
            column_types={name: pa.string() for name in names[2:]}
            | {name: pa.float64() for name in names[:2]},
            null_values=["", "NA"],
        ),
    )
    latitude, longitude = (_floats(table[name]) for name in names[:2])
    species = np.array([name or "" for name in table["Species"].to_pylist()])
    known = ~(np.isnan(latitude) | np.isnan(longitude))
    inside = (latitude > _SOUTH) & (latitude < _NORTH) & (longitude > _WEST) & (longitude < _EAST)
    named = np.array([" " in name and not name.endswith("sp.") for name in species])
    used = known & inside & named
    left_out = {
        "no coordinates": int((~known).sum()),
        "outside the region": int((known & ~inside).sum()),
        "not named to species": int((known & inside & ~named).sum()),
    }
    reference = pc.if_else(
        pc.equal(table["ID_codref"], "0"), table["Source"], table["ID_codref"]
    ).to_pylist()
    place = zip(latitude, longitude, table["Year"].to_pylist(), reference, strict=True)
    visits = np.unique(
        [" ".join(map(str, visit)) for visit, use in zip(place, used, strict=True) if use],
        return_inverse=True,
    )[1]
    numbers = np.unique(species[used], return_inverse=True)[1]
    return Visited(latitude[used], longitude[used], numbers, visits), left_out


def _floats(column: pa.ChunkedArray) -> Floats:
    numbers: Floats = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return numbers
