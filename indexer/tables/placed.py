"""Placed records as columns on disk, sorted by taxon, for counting more of them than memory holds.

Written once for a catalog into its scratch folder and mapped for reading, by any thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt

from atlas.bundle.files import append_numbers, naming
from atlas.species.counting import UNKNOWN_DAY, Records, visit_numbers

_CHUNK_ROWS = 4_000_000
_TYPES: dict[str, Any] = {
    "cell": np.uint64,
    "taxon_id": np.int32,
    "observer_id": np.int32,
    "first_day": np.int32,
    "last_day": np.int32,
    "uncertainty_m": np.float32,
}


class Placed(NamedTuple):
    """Columns (n,), sorted by taxon; days are since 1970, UNKNOWN_DAY where unknown."""

    cell: npt.NDArray[np.uint64]
    taxon_id: npt.NDArray[np.int32]
    observer_id: npt.NDArray[np.int32]
    first_day: npt.NDArray[np.int32]
    last_day: npt.NDArray[np.int32]
    uncertainty_m: npt.NDArray[np.float32]

    def records(self, chosen: slice | npt.NDArray[Any], species: npt.NDArray[np.int32]) -> Records:
        """Some of them, as they are counted; `species` is that of each taxon."""
        first, last = np.asarray(self.first_day[chosen]), np.asarray(self.last_day[chosen])
        observer = np.asarray(self.observer_id[chosen])
        return Records(
            cell=np.asarray(self.cell[chosen]),
            species=species[self.taxon_id[chosen]],
            observer=observer,
            visit=visit_numbers(first, last, observer),
            first_day=first,
            last_day=last,
            uncertainty_m=np.asarray(self.uncertainty_m[chosen]),
        )


def write_placed(connection: duckdb.DuckDBPyConnection, folder: Path) -> Placed:
    """Write the counted rows of `image` below `folder`, one file a column, and map them."""
    per_taxon = connection.execute(
        "SELECT taxon_id, count(*) FROM image WHERE counted GROUP BY taxon_id ORDER BY taxon_id"
    ).fetchall()
    files = {name: (folder / name).open("wb") for name in _TYPES}
    try:
        low, held = 0, 0
        for taxon_id, rows in per_taxon:
            held += rows
            if held >= _CHUNK_ROWS:
                _append(connection, files, low, taxon_id)
                low, held = taxon_id + 1, 0
        if held:
            _append(connection, files, low, per_taxon[-1][0])
    finally:
        for file in files.values():
            with naming(Path(file.name)):
                file.close()
    return Placed(**{name: mapped(folder / name, kind) for name, kind in _TYPES.items()})


def _append(
    connection: duckdb.DuckDBPyConnection, files: dict[str, Any], low: int, high: int
) -> None:
    found = connection.execute(
        "SELECT cell, taxon_id, observer_id, "
        f"coalesce(observed_from - DATE '1970-01-01', {UNKNOWN_DAY})::INTEGER AS first_day, "
        f"coalesce(observed_to - DATE '1970-01-01', {UNKNOWN_DAY})::INTEGER AS last_day, "
        "coalesce(uncertainty_m, 'nan'::FLOAT) AS uncertainty_m "
        "FROM image WHERE counted AND taxon_id BETWEEN ? AND ?",
        [low, high],
    ).fetchnumpy()
    # Several segments follow each other: together their rows are not sorted.
    order = np.argsort(found["taxon_id"], kind="stable")
    for name, file in files.items():
        with naming(Path(file.name)):
            append_numbers(file, found[name][order].astype(_TYPES[name], copy=False))


def mapped(path: Path, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """A file of plain numbers, mapped; a file without any cannot be."""
    if path.stat().st_size == 0:
        return np.empty(0, kind)
    numbers: npt.NDArray[Any] = np.memmap(path, kind, mode="r")
    return numbers
