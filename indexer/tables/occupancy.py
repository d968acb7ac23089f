"""The tables that maps are read from: `species_cell`, `occupancy` and `occupancy_run`.

Counts are stored where counting when asked would take long: for taxa with many records, at those
resolutions where a cell holds several. All others are counted by the reader with the same
functions. Works on two threads; sorting releases the interpreter lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import duckdb
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from atlas.bundle.files import append_numbers, naming
from atlas.errors import BuildError
from atlas.species.counting import (
    NO_SPECIES,
    UNKNOWN_DAY,
    CellCounts,
    SpeciesInCells,
    Totals,
    count_distinct,
    count_species,
    count_totals,
    diversity,
    joined,
    species_of_taxa,
)
from atlas.species.counting_parts import sum_totals
from indexer.tables.placed import Placed, mapped, write_placed

ROOT = 0
T = TypeVar("T")
R = TypeVar("R")

_THREADS = 2
_SPECIES_CHUNK_ROWS = 2_000_000
_INSERT_ROWS = 1_000_000
# Rows that are counted at once, on each thread: 800 MB while they are sorted.
_PART_ROWS = 8_000_000
_OCCUPANCY = pa.schema(
    [
        ("taxon_id", pa.int32()),
        ("resolution", pa.int8()),
        ("cell", pa.uint64()),
        ("n", pa.int32()),
        ("n_coarse", pa.int32()),
        ("observers", pa.int32()),
        ("visits", pa.int32()),
        ("incidences", pa.int32()),
        ("species", pa.int32()),
        ("q1", pa.int32()),
        ("q2", pa.int32()),
        ("first_day", pa.date32()),
        ("last_day", pa.date32()),
        ("min_uncertainty_m", pa.float32()),
    ]
)
_SPECIES_CELL = pa.schema(
    [
        ("resolution", pa.int8()),
        ("cell", pa.uint64()),
        ("taxon_id", pa.int32()),
        ("n", pa.int32()),
        ("visits", pa.int32()),
        ("last_day", pa.date32()),
    ]
)
_RUN = pa.schema([("taxon_id", pa.int32()), ("resolution", pa.int8()), ("rows", pa.int64())])
_SPECIES_TYPES: dict[str, Any] = {
    "cell": np.uint64,
    "taxon_id": np.int32,
    "n": np.int32,
    "visits": np.int32,
    "last_day": np.int32,
}


class MapStorage(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored: counts of taxa with `least_records`, where a cell has `least_per_cell`.

    The root is always stored. `species_resolutions` are those of `species_cell`.
    """

    least_records: int = 20_000
    least_per_cell: float = 8.0
    species_resolutions: tuple[int, ...] = (3, 4, 5)


class _Taxa(NamedTuple):
    last: npt.NDArray[np.int32]
    species: npt.NDArray[np.int32]


class _Counted(NamedTuple):
    taxon_id: int
    resolution: int
    counts: CellCounts
    n_coarse: npt.NDArray[np.int64]


def write_occupancy(
    connection: duckdb.DuckDBPyConnection, finest: int, storage: MapStorage, scratch: Path
) -> None:
    """Write the three tables from `image` and `taxon`; `scratch` is a folder that is there."""
    found = connection.execute(
        "SELECT last_descendant, rank = 'species' AS is_species FROM taxon ORDER BY taxon_id"
    ).fetchnumpy()
    last = np.asarray(found["last_descendant"], np.int32)
    taxa = _Taxa(last, species_of_taxa(np.asarray(found["is_species"], np.bool_), last))
    scratch = scratch / "counting"
    scratch.mkdir(exist_ok=True)
    placed = write_placed(connection, scratch)
    by_species = _write_species(placed, taxa, finest, scratch)
    _write_species_cell(connection, by_species, storage.species_resolutions)
    heavy = _heavy(placed, taxa, storage.least_records)
    counted = _in_order(
        lambda taxon_id: _count_taxon(taxon_id, placed, taxa, by_species, finest, storage), heavy
    )
    _write_counted(connection, (table for tables in counted for table in tables))


def _in_order(function: Callable[[T], R], given: Iterable[T]) -> Iterator[R]:
    """The results in order, a few made ahead."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[R]] = deque()
        for one in given:
            waiting.append(pool.submit(function, one))
            if len(waiting) > _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _write_species(placed: Placed, taxa: _Taxa, finest: int, scratch: Path) -> list[SpeciesInCells]:
    """Species by cell at every resolution, sorted by species, then cell; mapped from files."""
    files = [
        {name: (scratch / f"{name}-{r}").open("wb") for name in _SPECIES_TYPES}
        for r in range(finest + 1)
    ]
    resolutions = tuple(range(finest + 1))

    def count(rows: slice) -> list[SpeciesInCells]:
        return count_species(placed.records(rows, taxa.species), resolutions, finest)

    for found in _in_order(count, _species_chunks(placed, taxa)):
        for columns, of_resolution in zip(files, found, strict=True):
            for name, file in columns.items():
                with naming(Path(file.name)):
                    append_numbers(file, getattr(of_resolution, name).astype(_SPECIES_TYPES[name]))
    for columns in files:
        for file in columns.values():
            with naming(Path(file.name)):
                file.close()
    return [
        SpeciesInCells(
            **{name: mapped(scratch / f"{name}-{r}", kind) for name, kind in _SPECIES_TYPES.items()}
        )
        for r in range(finest + 1)
    ]


def _species_chunks(placed: Placed, taxa: _Taxa) -> Iterator[slice]:
    """Runs of rows that cut no species in two."""
    start = 0
    while start < len(placed.taxon_id):
        stop = min(start + _SPECIES_CHUNK_ROWS, len(placed.taxon_id))
        at = int(placed.taxon_id[stop - 1])
        species = int(taxa.species[at])
        end = int(taxa.last[species]) if species != NO_SPECIES else at
        stop = int(np.searchsorted(placed.taxon_id, end, side="right"))
        yield slice(start, stop)
        start = stop


def _write_species_cell(
    connection: duckdb.DuckDBPyConnection,
    by_species: list[SpeciesInCells],
    resolutions: tuple[int, ...],
) -> None:
    connection.register("species_cell_arrow", _SPECIES_CELL.empty_table())
    connection.execute("CREATE TABLE species_cell AS SELECT * FROM species_cell_arrow")
    for resolution in sorted(resolutions):
        if resolution >= len(by_species):
            continue
        found = by_species[resolution]
        columns = {name: getattr(found, name) for name in _SPECIES_TYPES}
        columns["resolution"] = np.full(len(found.cell), resolution, np.int8)
        connection.register("species_cell_arrow", _table(columns, _SPECIES_CELL))
        connection.execute(
            "INSERT INTO species_cell SELECT * FROM species_cell_arrow ORDER BY cell, taxon_id"
        )
    connection.unregister("species_cell_arrow")


def _heavy(placed: Placed, taxa: _Taxa, least_records: int) -> list[int]:
    """Taxa with at least so many placed records, and the root, in order."""
    first = np.searchsorted(placed.taxon_id, np.arange(len(taxa.last)))
    stop = np.searchsorted(placed.taxon_id, taxa.last, side="right")
    heavy = stop - first >= max(1, least_records)
    heavy[ROOT] = True
    return np.flatnonzero(heavy).tolist()


def _count_taxon(
    taxon_id: int,
    placed: Placed,
    taxa: _Taxa,
    by_species: list[SpeciesInCells],
    finest: int,
    storage: MapStorage,
) -> list[_Counted]:
    """The counts of one taxon with all below it, at the resolutions that are stored."""
    last = int(taxa.last[taxon_id])
    first, stop = map(int, np.searchsorted(placed.taxon_id, [taxon_id, last + 1]))
    totals = _sum_totals(placed, taxa, first, stop, finest)
    stored = [
        r
        for r, found in enumerate(totals)
        if taxon_id == ROOT or found.n.sum() >= storage.least_per_cell * max(1, len(found.cell))
    ]
    totals = [totals[r] for r in stored]
    cells = [found.cell for found in totals]
    observers, visits = _distinct(placed, taxa, (first, stop), stored, finest, cells)
    if int(taxa.species[taxon_id]) in (NO_SPECIES, taxon_id):
        species = [_of_taxon(by_species[r], taxon_id, last) for r in stored]
    else:  # a part of a species
        species = count_species(placed.records(slice(first, stop), taxa.species), stored, finest)
    return [
        _Counted(taxon_id, r, joined(t, o, v, diversity(s, t.cell)), t.n_coarse)
        for r, t, o, v, s in zip(stored, totals, observers, visits, species, strict=True)
    ]


def _sum_totals(placed: Placed, taxa: _Taxa, first: int, stop: int, finest: int) -> list[Totals]:
    """Totals of a run of rows at every resolution, some rows at a time."""
    pieces = [
        count_totals(
            placed.records(slice(start, min(start + _PART_ROWS, stop)), taxa.species),
            range(finest + 1),
            finest,
        )
        for start in range(first, max(stop, first + 1), _PART_ROWS)
    ]
    return [sum_totals(of_resolution) for of_resolution in zip(*pieces, strict=True)]


def _distinct(
    placed: Placed,
    taxa: _Taxa,
    run: tuple[int, int],
    resolutions: list[int],
    finest: int,
    cells: list[npt.NDArray[np.uint64]],
) -> tuple[list[npt.NDArray[np.int64]], list[npt.NDArray[np.int64]]]:
    """Observers and visits of cells, at each of several resolutions."""
    observers = [np.zeros(len(listed), np.int64) for listed in cells]
    visits = [np.zeros(len(listed), np.int64) for listed in cells]
    for part in _parts(placed, *run):
        seen = placed.records(part, taxa.species)
        dated = seen.visit >= 0
        for sums, (cell, value) in (
            (observers, (seen.cell, seen.observer)),
            (visits, (seen.cell[dated], seen.visit[dated])),
        ):
            found = count_distinct(cell, value, resolutions, finest, cells)
            for whole, more in zip(sums, found, strict=True):
                whole += more  # noqa: PLW2901 - in place
    return observers, visits


def _parts(placed: Placed, first: int, stop: int) -> Iterator[slice | npt.NDArray[np.int64]]:
    """A run of rows in parts without a common observer, so that what is distinct adds up."""
    parts = -(-(stop - first) // _PART_ROWS)
    if parts <= 1:
        yield slice(first, stop)
        return
    for part in range(parts):
        yield first + np.flatnonzero(placed.observer_id[first:stop] % parts == part)


def _of_taxon(found: SpeciesInCells, taxon_id: int, last: int) -> SpeciesInCells:
    first, stop = np.searchsorted(found.taxon_id, [taxon_id, last + 1])
    return SpeciesInCells._make(column[first:stop] for column in found)


def _write_counted(connection: duckdb.DuckDBPyConnection, counted: Iterable[_Counted]) -> None:
    """Write `occupancy` and `occupancy_run` in the order given.

    Never in one transaction with a temporary table that is replaced: there DuckDB 2.0 lost 61
    million rows without an error. Therefore they are also counted.
    """
    connection.register("occupancy_arrow", _OCCUPANCY.empty_table())
    connection.execute("CREATE TABLE occupancy AS SELECT * FROM occupancy_arrow")
    runs: list[tuple[int, int, int]] = []
    held: list[pa.Table] = []
    for one in counted:
        runs.append((one.taxon_id, one.resolution, len(one.counts.cell)))
        held.append(_occupancy(one))
        if sum(table.num_rows for table in held) >= _INSERT_ROWS:
            _insert(connection, held)
            held = []
    _insert(connection, held)
    connection.unregister("occupancy_arrow")
    listed = [dict(zip(_RUN.names, run, strict=True)) for run in runs]
    connection.register("run_arrow", pa.Table.from_pylist(listed, schema=_RUN))
    connection.execute("CREATE TABLE occupancy_run AS SELECT * FROM run_arrow")
    connection.unregister("run_arrow")
    written = sum(rows for _, _, rows in runs)
    found = connection.execute("SELECT count(cell) FROM occupancy").fetchall()[0][0]
    if found != written:
        raise BuildError("catalog", f"{written} rows of occupancy were written, {found} are there")


def _insert(connection: duckdb.DuckDBPyConnection, held: list[pa.Table]) -> None:
    if held:
        connection.register("occupancy_arrow", pa.concat_tables(held))
        connection.execute("INSERT INTO occupancy SELECT * FROM occupancy_arrow")


def _occupancy(one: _Counted) -> pa.Table:
    count = len(one.counts.cell)
    return _table(
        {
            "taxon_id": np.full(count, one.taxon_id),
            "resolution": np.full(count, one.resolution),
            "n_coarse": one.n_coarse,
            **one.counts._asdict(),
        },
        _OCCUPANCY,
    )


def _table(columns: dict[str, npt.NDArray[Any]], schema: pa.Schema) -> pa.Table:
    """Columns as a table; what is unknown becomes null."""
    arrays = []
    for field in schema:
        values = columns[field.name]
        unknown = None
        if field.type == pa.date32():
            unknown = values == UNKNOWN_DAY
            values = values.astype(np.int32, copy=False)
        elif field.type == pa.float32():
            unknown = np.isnan(values)
        else:
            values = values.astype(field.type.to_pandas_dtype(), copy=False)
        arrays.append(pa.array(values, field.type, mask=unknown))
    return pa.table(arrays, schema=schema)
