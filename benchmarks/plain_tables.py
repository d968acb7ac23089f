"""The same questions in plain SQL over one raw table of occurrences, to compare with.

The table has the rows in no order, as a download has them. The SQL counts what maps count: records
once, with a place, not held back; visits by day and observer; species by what they are met in.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from atlas.bundle.flags import held_back_mask
from atlas.geo.cells import parent_sql
from atlas.geo.ranges import tile_ranges
from atlas.geo.tiles import Tile, resolution_for_zoom
from atlas.species.counting import UNKNOWN_DAY, CellCounts
from benchmarks.map_questions import CASES, ZOOMS, Asked, Maps
from benchmarks.occurrences import FINEST

Record = dict[str, Any]
RAW = "raw.duckdb"


def write_raw(folder: Path, segments: tuple[str, ...]) -> float:
    """Write the raw table, unless it is there; returns its bytes."""
    path = folder / RAW
    if not path.exists():
        listed = ", ".join(f"'{folder / name}'" for name in segments)
        with duckdb.connect(str(path), config={"memory_limit": "6GB"}) as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.execute(
                "CREATE TABLE raw AS SELECT source_key, occurrence_id, taxon_id, cell, latitude, "
                "longitude, uncertainty_m, observed_from, observed_to, observer, flags "
                f"FROM read_parquet([{listed}]) ORDER BY hash(image_id)"
            )
            connection.execute(
                f"CREATE TABLE taxon AS SELECT * FROM read_parquet('{folder / 'taxa.parquet'}')"
            )
    return float(path.stat().st_size)


class Plain:
    """Answers from the raw table alone."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Open the raw table in `folder`."""
        self._connection = duckdb.connect(
            str(folder / RAW), read_only=True, config={"threads": threads, "memory_limit": "8GB"}
        )
        self._connection.execute("SET enable_progress_bar = false")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def cells(self, taxon_id: int, resolution: int, ranges: list[tuple[int, int]]) -> CellCounts:
        """Counts of a taxon's cells of one resolution within ranges of their numbers."""
        inside = " OR ".join(f"cell BETWEEN {low} AND {high}" for low, high in ranges) or "TRUE"
        sql = f"""
            WITH here AS (
                SELECT source_key, occurrence_id, {parent_sql("cell", resolution)} AS cell,
                    taxon_id, cell AS stored, uncertainty_m, observed_from, observed_to,
                    coalesce(observer, '') AS observer
                FROM raw WHERE taxon_id BETWEEN $low AND
                    (SELECT last_descendant FROM taxon WHERE taxon_id = $low)
                    AND cell IS NOT NULL AND flags & {held_back_mask()} = 0
            ),
            record AS (
                SELECT DISTINCT ON (source_key, occurrence_id, taxon_id, stored) * FROM here
                WHERE cell IS NOT NULL AND ({inside})
            ),
            named AS (
                SELECT record.*, CASE WHEN rank = 'species' THEN taxon_id END AS species,
                    CASE WHEN observed_from = observed_to
                    THEN (observed_from, observer) END AS visit
                FROM record JOIN taxon USING (taxon_id)
            ),
            met AS (
                SELECT cell, species, count(DISTINCT visit) FILTER (visit IS NOT NULL) AS visits
                FROM named WHERE species IS NOT NULL GROUP BY ALL
            ),
            kinds AS (
                SELECT cell, count(*) AS species, count(*) FILTER (visits = 1) AS q1,
                    count(*) FILTER (visits = 2) AS q2, sum(visits) AS incidences
                FROM met GROUP BY cell
            )
            SELECT cell, count(*) AS n, count(DISTINCT observer) AS observers,
                count(DISTINCT visit) FILTER (visit IS NOT NULL) AS visits,
                coalesce(any_value(incidences), 0)::BIGINT AS incidences,
                coalesce(any_value(kinds.species), 0) AS species,
                coalesce(any_value(q1), 0) AS q1, coalesce(any_value(q2), 0) AS q2,
                coalesce(min(observed_from) - DATE '1970-01-01', {UNKNOWN_DAY}) AS first_day,
                coalesce(max(observed_to) - DATE '1970-01-01', {UNKNOWN_DAY}) AS last_day,
                coalesce(min(uncertainty_m), 'nan'::FLOAT) AS min_uncertainty_m
            FROM named LEFT JOIN kinds USING (cell) GROUP BY cell ORDER BY cell
        """
        found = self._connection.execute(sql, {"low": taxon_id}).fetchnumpy()
        return CellCounts(**{name: np.asarray(found[name]) for name in CellCounts._fields})


def compare(maps: Maps, plain: Plain, count: int, seed: int) -> list[Record]:
    """Both asked for the same counts: how many times faster, and whether the numbers are equal."""
    records = []
    for case in CASES:
        for zoom in ZOOMS:
            asked = maps.drawn(case, count, seed + 1)
            pairs = [_asked_both(maps, plain, one, one.tile(zoom)) for one in asked]
            records.append(_record(f"{case}, z {zoom}", pairs))
    whole = [
        _both(maps, plain, one.taxon_id, 4, None) for one in maps.drawn("class", count, seed + 2)
    ]
    records.append(_record("a class, world, resolution 4", whole))
    return records


def _record(case: str, pairs: list[tuple[float, float, bool]]) -> Record:
    ours, theirs, same = zip(*pairs, strict=True)
    return {
        "case": f"against plain DuckDB: {case}",
        "asked": len(pairs),
        "p50_ms": round(float(np.median(ours)), 2),
        "plain_p50_ms": round(float(np.median(theirs)), 1),
        "times_faster": round(float(np.median(np.divide(theirs, ours))), 1),
        "same_numbers": all(same),
    }


def _asked_both(maps: Maps, plain: Plain, one: Asked, tile: Tile) -> tuple[float, float, bool]:
    resolution = min(resolution_for_zoom(tile.z), FINEST)
    return _both(maps, plain, one.taxon_id, resolution, list(tile_ranges(tile, resolution)))


def _both(
    maps: Maps, plain: Plain, taxon_id: int, resolution: int, ranges: list[tuple[int, int]] | None
) -> tuple[float, float, bool]:
    """Milliseconds of ours and of theirs, and whether every number is the same."""
    begun = time.perf_counter()
    ours = maps.occupancy.cells(taxon_id, resolution, ranges=ranges)
    between = time.perf_counter()
    theirs = plain.cells(taxon_id, resolution, ranges or [])
    ended = time.perf_counter()
    same = all(_equal(getattr(ours, name), getattr(theirs, name)) for name in ours._fields)
    return 1e3 * (between - begun), 1e3 * (ended - between), same


def _equal(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    return np.array_equal(one, other.astype(one.dtype), equal_nan=one.dtype.kind == "f")
