"""The catalog of a bundle's next state: its segments' rows, by the rules that the bundle has.

Knows what the catalog stage is given, and nothing of what the stage writes. One caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from atlas.bundle.manifest import SegmentEntry, SourceEntry
from atlas.bundle.segment import ROWS, vectors_name
from indexer.carried import burst_rule, hosted_licences, map_storage
from indexer.revision import Revision
from indexer.stages.catalog import (
    STEPS,
    CatalogInput,
    SegmentVectors,
    SourceRow,
    write_catalog,
)


def write_revised_catalog(
    revision: Revision,
    segments: Sequence[SegmentEntry],
    sources: Sequence[SourceEntry],
    *,
    hosted: Sequence[str] = (),
    living: Path | None = None,
) -> None:
    """Write the catalog of these segments; `hosted` are further licences of kept pictures.

    `living` lists the rows that count, where not all do.
    """
    with revision.watcher.stage("catalog", STEPS, "steps") as advance:
        given = _input(revision, segments, sources, hosted=hosted, living=living)
        write_catalog(given, revision.catalog, revision.work.scratch, advance)


def _input(
    revision: Revision,
    segments: Sequence[SegmentEntry],
    sources: Sequence[SourceEntry],
    *,
    hosted: Sequence[str],
    living: Path | None,
) -> CatalogInput:
    before = revision.root / revision.base.catalog
    bursts = burst_rule(before, revision.base.spaces)
    return CatalogInput(
        rows=tuple(revision.folder(segment.name) / ROWS for segment in segments),
        taxa=revision.work.taxa,
        names=revision.work.taxon_names,
        sources=tuple(
            SourceRow(**{name: getattr(source, name) for name in SourceRow.__struct_fields__})
            for source in sources
        ),
        hosted_licences=(*hosted_licences(before), *hosted),
        finest=revision.base.cell_resolution,
        living=living,
        storage=map_storage(before),
        bursts=bursts,
        vectors=tuple(
            SegmentVectors(
                path=revision.folder(segment.name) / vectors_name(bursts.space),
                first_row=segment.first_row,
                rows=segment.rows,
                dim=revision.spaces[bursts.space].dim,
            )
            for segment in segments
            if bursts.space
        ),
    )
