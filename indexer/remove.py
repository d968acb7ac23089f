"""Removes rows from a bundle: tombstones and a catalog without them, under a new manifest.

Vectors and pictures of removed rows stay in their segments until `compact` rewrites these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyroaring import BitMap

from atlas.bundle.manifest import Manifest, SourceEntry
from atlas.errors import BuildError
from indexer.alone import alone_with
from indexer.progress import Watcher
from indexer.revised_catalog import write_revised_catalog
from indexer.revision import Revision, identity_after, require_live, work_folder
from indexer.stops import clear_stops


class Chosen(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is to be removed: rows by reason and by source, and what the bundle does not hold.

    `row_ids` are sorted, (n,) int64. A row that is chosen twice counts once, for its occurrence id.
    """

    row_ids: npt.NDArray[np.int64]
    reasons: Mapping[str, int]
    sources: Mapping[str, int]
    unknown: tuple[str, ...]


class Removed(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What was chosen, and the manifest that is live without it (as before if nothing was)."""

    chosen: Chosen
    manifest: Manifest
    rows_left: int


def remove(
    root: Path,
    *,
    occurrence_ids: Sequence[str],
    licences: Sequence[str],
    ignore_missing: bool,
    dry_run: bool,
    watcher: Watcher,
) -> Removed:
    """Remove every photo of these occurrences and under these photo licences.

    Nothing is changed in a dry run, and where something is unknown unless `ignore_missing`.
    Raises BuildError where no row would be left.
    """
    with clear_stops(), alone_with(root):
        base = require_live(root)
        chosen = choose(root / base.catalog, occurrence_ids, licences)
        living = sum(source.rows_out - source.removed for source in base.sources)
        left = living - len(chosen.row_ids)
        refused = bool(chosen.unknown) and not ignore_missing
        if dry_run or refused or len(chosen.row_ids) == 0:
            return Removed(chosen=chosen, manifest=base, rows_left=left)
        if left == 0:
            raise BuildError("remove", "no row would be left; delete the bundle instead")
        identity = identity_after(base, "remove", chosen.row_ids.tobytes())
        revision = Revision(root, base, work_folder(root, "remove"), identity, watcher)
        with revision.noting():
            manifest = _without(revision, chosen, living, identity)
        return Removed(chosen=chosen, manifest=manifest, rows_left=left)


def _without(revision: Revision, chosen: Chosen, living: int, identity: str) -> Manifest:
    """Make the bundle without the chosen rows live; `living` are the rows before."""
    base, left = revision.base, living - len(chosen.row_ids)
    segments = []
    for segment in base.segments:
        bounds = [segment.first_row, segment.first_row + segment.rows]
        start, end = np.searchsorted(chosen.row_ids, bounds)
        positions = BitMap(chosen.row_ids[start:end] - segment.first_row)
        segments.append(revision.with_tombstones(segment, positions) if positions else segment)
    found = revision.list_living(segments)
    if found != left:
        raise BuildError(
            "remove", f"{living} rows less {len(chosen.row_ids)} removed, but {found} left"
        )
    sources = [_less(source, chosen.sources) for source in base.sources]
    write_revised_catalog(revision, segments, sources, living=revision.living)
    return revision.publish(segments, sources, identity=identity)


def choose(catalog: Path, occurrence_ids: Sequence[str], licences: Sequence[str]) -> Chosen:
    """The rows of these occurrences, and of these photo licences."""
    wanted = list(dict.fromkeys(occurrence_ids))
    codes = list(dict.fromkeys(licences))
    with duckdb.connect(str(catalog), read_only=True) as connection:
        connection.register("wanted", pa.table({"occurrence_id": pa.array(wanted, pa.string())}))
        connection.register("codes", pa.table({"code": pa.array(codes, pa.string())}))
        known = connection.execute(
            "SELECT occurrence_id FROM wanted SEMI JOIN image USING (occurrence_id) UNION ALL "
            "SELECT code FROM codes SEMI JOIN (SELECT code FROM licence "
            "  SEMI JOIN image ON media_licence_id = licence.licence_id) USING (code)"
        ).fetchall()
        connection.execute(
            "CREATE TEMP TABLE chosen AS SELECT row_id, source.key AS source, "
            "CASE WHEN image.occurrence_id IN (FROM wanted) "
            "THEN 'occurrence id' ELSE 'licence ' || licence.code END AS reason "
            "FROM image JOIN source USING (source_id) "
            "LEFT JOIN licence ON licence.licence_id = media_licence_id "
            "WHERE image.occurrence_id IN (FROM wanted) OR licence.code IN (FROM codes)"
        )
        found = {name for (name,) in known}
        return Chosen(
            row_ids=connection.execute("SELECT row_id FROM chosen ORDER BY row_id").fetchnumpy()[
                "row_id"
            ],
            reasons=_counts(connection, "reason"),
            sources=_counts(connection, "source"),
            unknown=tuple(name for name in (*wanted, *codes) if name not in found),
        )


def _counts(connection: duckdb.DuckDBPyConnection, column: str) -> dict[str, int]:
    counted = connection.execute(
        f"SELECT {column}, count(*) FROM chosen GROUP BY ALL ORDER BY {column}"
    )
    return dict(counted.fetchall())


def _less(source: SourceEntry, removed: Mapping[str, int]) -> SourceEntry:
    count = source.removed + removed.get(source.key, 0)
    return msgspec.structs.replace(source, removed=count)
