"""Reads one part of a source into records and rejects on disk.

Knows the protocol of a source, not which one it is. A pure function of the part, run in any
process; the files appear whole, the report last.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from indexer.parts import (
    PartReport,
    begin,
    excluded_path,
    finished,
    records_path,
    rejects_path,
    sizes_of,
    vectors_path,
    write_report,
    write_table,
    write_vectors,
)
from indexer.quality.exclusion import Exclusion
from indexer.records import with_media_columns
from indexer.sources import Source, SourcePart

Curate = Callable[[pa.Table], pa.Table]


def read_part(
    source: Source,
    part: SourcePart,
    *,
    identity: str,
    folder: Path,
    curate: Curate,
    exclusion: Exclusion | None = None,
) -> PartReport:
    """Write `PART.parquet`, `PART.rejects.parquet` and `PART.json` into `folder`.

    `curate` flags doubtful records and hides sensitive places: nothing is written before. The
    columns that embedding fills are there, empty: a part without pictures is then done. Rows that
    `exclusion` names are refused, and what it met of its ids goes into `PART.excluded.parquet`.
    Vectors that came ready go into `PART.SPACE.f16`, never through Parquet, which would take most
    of a build's time to pack and unpack them.
    A finished part of the same identity is left as it is. Raises BuildError where the input
    changed or the rows do not add up, PlanError where it cannot be read.
    """
    done = finished(folder, part.name, identity)
    if done is not None:
        return done
    begin(folder, part.name)
    outcome = source.read(part)
    outcome = outcome._replace(records=curate(outcome.records))
    records, rejects = records_path(folder, part.name), rejects_path(folder, part.name)
    files = [records, rejects]
    if exclusion is not None:
        outcome, met = exclusion.apply(outcome, part.name)
        files.append(excluded_path(folder, part.name))
        write_table(files[-1], met)
    write_table(records, with_media_columns(outcome.records))
    write_table(rejects, outcome.rejects)
    vectors = {space: vectors_path(folder, part.name, space) for space in outcome.vectors}
    for space, path in vectors.items():
        write_vectors(path, outcome.vectors[space])
    return write_report(
        folder,
        PartReport(
            part=part.name,
            stage="read",
            identity=identity,
            rows_in=outcome.rows_in,
            rows_out=outcome.records.num_rows,
            rejects=outcome.rejects.num_rows,
            dims={space: made.shape[1] for space, made in outcome.vectors.items()},
            files=sizes_of(*files, *vectors.values()),
        ),
    )
