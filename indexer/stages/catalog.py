"""Catalog stage: segment rows and the taxon tree in, one DuckDB file out.

Every table is made from files of the bundle, so the catalog can be rebuilt at any time. Counts on
maps are of records (distinct occurrences), not of photos, and leave out what the default quality
filter holds back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec

from atlas.bundle.files import atomic_path
from atlas.errors import BuildError
from indexer.tables.duplicates import BurstRule, SegmentVectors, write_duplicates
from indexer.tables.identities import write_identities
from indexer.tables.images import CHUNK_ROWS, view_stored, write_by_cell, write_images
from indexer.tables.occupancy import MapStorage, write_occupancy
from indexer.tables.sources import SourceRow, write_flags, write_licences, write_sources
from indexer.tables.taxa import write_taxa
from indexer.work import open_database

__all__ = [
    "STEPS",
    "BurstRule",
    "CatalogInput",
    "MapStorage",
    "SegmentVectors",
    "SourceRow",
    "write_catalog",
]

STEPS = 6


class CatalogInput(msgspec.Struct, frozen=True, kw_only=True):
    """What a catalog is made of.

    `rows` are the segments' row files in order, `finest` is the storage resolution of cells,
    `hosted_licences` are the codes of the photo licences whose pictures the bundle may hold.
    `living` lists the rows that count, with the taxon ids and flags that hold now; without it
    every row counts as it was written. `storage` says which counts of maps are stored. `bursts`
    says which photos of a burst are near-identical, by the `vectors` of its space.
    """

    rows: tuple[Path, ...]
    taxa: Path
    names: Path
    sources: tuple[SourceRow, ...]
    hosted_licences: tuple[str, ...]
    finest: int
    living: Path | None = None
    storage: MapStorage = MapStorage()
    bursts: BurstRule = BurstRule()
    vectors: tuple[SegmentVectors, ...] = ()


def write_catalog(
    given: CatalogInput, path: Path, scratch: Path, progress: Callable[[int], None]
) -> None:
    """Write the catalog to `path`; `progress` is called with 1 after each of `STEPS` steps.

    DuckDB spills into `scratch`, which is removed afterwards.
    """
    if path.exists():
        progress(STEPS)
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        log = Path(f"{temporary}.wal")
        connection = open_database(scratch, temporary)
        try:
            _fill(connection, given, scratch, progress)
            # Closing does the same, but says nothing where the disk is full.
            connection.execute("CHECKPOINT")
            unwritten = log.exists() and log.stat().st_size > 0
        finally:
            connection.close()
            log.unlink(missing_ok=True)
        if unwritten:
            raise BuildError("catalog", f"{path} could not be written whole; is the disk full?")
    shutil.rmtree(scratch, ignore_errors=True)


def _fill(
    connection: duckdb.DuckDBPyConnection,
    given: CatalogInput,
    scratch: Path,
    progress: Callable[[int], None],
) -> None:
    view_stored(connection, given.rows, given.living)
    write_sources(connection, given.sources)
    write_licences(connection, given.hosted_licences)
    write_flags(connection)
    progress(1)
    write_images(connection, given.rows, given.living)
    progress(1)
    write_identities(connection, CHUNK_ROWS)
    write_by_cell(connection)
    progress(1)
    write_duplicates(connection, given.bursts, given.vectors)
    progress(1)
    write_taxa(connection, given.taxa, given.names)
    progress(1)
    write_occupancy(connection, given.finest, given.storage, scratch)
    progress(1)
