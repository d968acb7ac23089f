"""What a report says, read from a bundle: the content of `report.json`.

Every number is counted here once; the page shows these and counts nothing. What the manifest, the
rejects and the catalog say of one thing is compared, so a report is also a check. One thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec
import numpy as np
import numpy.typing as npt

from atlas.bundle.bundle import SPACES
from atlas.bundle.flags import flags_in, held_back_mask
from atlas.bundle.manifest import Manifest, read_current, read_manifest, read_struct
from atlas.errors import BuildError
from atlas.geo.cells import RADIUS_M, centres, parent_sql
from atlas.geo.views import view_of
from atlas.search.curve import Curve
from indexer.report.record import Run, runs_of

# Cells of a map: the finest resolution that has no more than these, none narrower than this share
# of the map (seven of nine hundred pixels).
_MOST_CELLS = 2_000
_LEAST_CELL_SHARE = 0.008
_COARSEST, _FINEST = 2, 6


class SourceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one source's rows: rows_in = shown + held_back + removed + rejected.

    `shown` and `held_back` are in the bundle, the latter hidden by the default filter. `rejects`
    counts by reason. `placed` rows have a cell.
    """

    key: str
    kind: str
    title: str
    citation: str
    licence: str
    url: str
    rows_in: int
    shown: int
    held_back: int
    removed: int
    rejected: int
    rejects: dict[str, int]
    placed: int


class RejectCount(msgspec.Struct, frozen=True, kw_only=True):
    """Rows refused for one reason, with the stages that refused them."""

    reason: str
    stages: tuple[str, ...]
    rows: int


class FlagCount(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with a quality flag; a row may have several."""

    flag: str
    meaning: str
    held_back: bool
    rows: int


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by place: `mapped` in the cells of the report's map, the others in none.

    `coarser` are placed less finely than the map's cells; `nowhere` have no place.
    """

    resolution: int
    cells: int
    most: int
    mapped: int
    coarser: int
    nowhere: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says; `bundle` is the folder's name, `rows` leaves removed ones out."""

    bundle: str
    title: str
    description: str
    demonstration: bool
    number: int
    built_at: str
    rows_in: int
    rows: int
    rejected: int
    size_bytes: int
    files: int
    segments: int
    taxa: int
    species: int
    first_day: str | None
    last_day: str | None
    sources: tuple[SourceReport, ...]
    rejects: tuple[RejectCount, ...]
    flags: tuple[FlagCount, ...]
    places: Places
    spaces: tuple[Curve, ...]
    runs: tuple[Run, ...]


class MapCells(NamedTuple):
    """Cells and the rows in each, both (n,)."""

    cells: npt.NDArray[np.uint64]
    rows: npt.NDArray[np.int64]


def report_of(root: Path, work: Path) -> tuple[Report, MapCells]:
    """The report of the live bundle below `root`, and its map; `work` has the record of its runs.

    Raises BuildError where manifest, rejects and catalog do not agree, BundleError where there is
    no bundle.
    """
    manifest = read_manifest(read_current(root))
    with duckdb.connect(str(root / manifest.catalog), read_only=True) as connection:
        sources = _sources(connection, manifest)
        places, cells = _places(connection, manifest.cell_resolution)
        ((rows, first, last),) = connection.execute(
            "SELECT count(*), min(observed_from), max(observed_to) FROM image"
        ).fetchall()
        ((taxa, species),) = connection.execute(
            "SELECT count(*), count(*) FILTER (rank = 'species') FROM taxon WHERE taxon_id > 0"
        ).fetchall()
        flags = _flags(connection)
    rejects = _rejects(root / manifest.rejects, manifest)
    report = Report(
        bundle=root.name,
        title=manifest.title,
        description=manifest.description,
        demonstration=manifest.demonstration,
        number=manifest.number,
        built_at=manifest.built_at,
        rows_in=sum(source.rows_in for source in sources),
        rows=rows,
        rejected=sum(source.rejected for source in sources),
        size_bytes=sum(entry.size_bytes for entry in manifest.files),
        files=len(manifest.files),
        segments=len(manifest.segments),
        taxa=taxa,
        species=species,
        first_day=None if first is None else first.isoformat(),
        last_day=None if last is None else last.isoformat(),
        sources=sources,
        rejects=rejects,
        flags=flags,
        places=places,
        spaces=tuple(_curves(root, manifest)),
        runs=runs_of(work, manifest.number),
    )
    return report, cells


def _sources(connection: duckdb.DuckDBPyConnection, manifest: Manifest) -> tuple[SourceReport, ...]:
    found = {
        key: counts
        for key, *counts in connection.execute(
            "SELECT source.key, count(*), count(*) FILTER (flags & ? <> 0), count(cell) "
            "FROM image JOIN source USING (source_id) GROUP BY source.key",
            [held_back_mask()],
        ).fetchall()
    }
    reports = []
    for source in manifest.sources:
        rows, held_back, placed = found.get(source.key, (0, 0, 0))
        rejected = sum(source.rejects.values())
        if source.rows_in != source.rows_out + rejected or rows != source.rows_out - source.removed:
            raise BuildError(
                "report",
                f"source {source.key}: {source.rows_in} rows in, {source.rows_out} out, "
                f"{rejected} rejected, {source.removed} removed, but {rows} in the catalog",
            )
        reports.append(
            SourceReport(
                key=source.key,
                kind=source.kind,
                title=source.title,
                citation=source.citation,
                licence=source.licence,
                url=source.url,
                rows_in=source.rows_in,
                shown=rows - held_back,
                held_back=held_back,
                removed=source.removed,
                rejected=rejected,
                rejects=source.rejects,
                placed=placed,
            )
        )
    return tuple(reports)


def _rejects(path: Path, manifest: Manifest) -> tuple[RejectCount, ...]:
    """The rejects by reason, as they stand in their file; BuildError where the account differs."""
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT reason, list(DISTINCT stage ORDER BY stage), count(*) AS rows "
            "FROM read_parquet(?) GROUP BY reason ORDER BY rows DESC, reason",
            [str(path)],
        ).fetchall()
    counted: dict[str, int] = {}
    for source in manifest.sources:
        for reason, rows in source.rejects.items():
            counted[reason] = counted.get(reason, 0) + rows
    listed = {reason: rows for reason, _, rows in found}
    if listed != counted:
        raise BuildError("report", f"{path} holds {listed}, the account says {counted}")
    return tuple(
        RejectCount(reason=reason, stages=tuple(stages), rows=rows)
        for reason, stages, rows in found
    )


def _flags(connection: duckdb.DuckDBPyConnection) -> tuple[FlagCount, ...]:
    """Rows by flag, the most frequent first."""
    found = connection.execute(
        "SELECT flags, count(*) FROM image WHERE flags <> 0 GROUP BY flags"
    ).fetchall()
    counts: dict[str, FlagCount] = {}
    for bits, rows in found:
        for meaning in flags_in(bits):
            before = counts[meaning.name].rows if meaning.name in counts else 0
            counts[meaning.name] = FlagCount(
                flag=meaning.name,
                meaning=meaning.meaning,
                held_back=meaning.held_back,
                rows=before + rows,
            )
    return tuple(sorted(counts.values(), key=lambda count: (-count.rows, count.flag)))


def _places(connection: duckdb.DuckDBPyConnection, finest: int) -> tuple[Places, MapCells]:
    """Rows by cell, at the finest resolution that a small map can show."""
    ((rows, placed),) = connection.execute("SELECT count(*), count(cell) FROM image").fetchall()
    resolution = min(_COARSEST, finest)
    chosen = _cells_at(connection, resolution)
    width_m = view_of(*centres(chosen.cells)).width_m
    for finer in range(resolution + 1, min(_FINEST, finest) + 1):
        if 2.0 * RADIUS_M[finer] < _LEAST_CELL_SHARE * width_m:
            break
        found = _cells_at(connection, finer)
        if len(found.cells) > _MOST_CELLS:
            break
        chosen, resolution = found, finer
    mapped = int(chosen.rows.sum())
    places = Places(
        resolution=resolution,
        cells=len(chosen.cells),
        most=int(chosen.rows.max(initial=0)),
        mapped=mapped,
        coarser=placed - mapped,
        nowhere=rows - placed,
    )
    return places, chosen


def _cells_at(connection: duckdb.DuckDBPyConnection, resolution: int) -> MapCells:
    found = connection.execute(
        f"SELECT {parent_sql('cell', resolution)} AS parent, count(*) AS rows FROM image "
        "WHERE cell IS NOT NULL GROUP BY parent HAVING parent IS NOT NULL ORDER BY parent"
    ).fetchnumpy()
    return MapCells(np.asarray(found["parent"], np.uint64), np.asarray(found["rows"], np.int64))


def _curves(root: Path, manifest: Manifest) -> list[Curve]:
    paths = [root / SPACES / space.folder / space.curve for space in manifest.spaces]
    return [read_struct(path, Curve) for path in paths if path.exists()]
