"""Rewrites the segments of a bundle: in one order, of even size, without the removed rows.

Vectors and pictures are moved, not made again; the trained index is kept, or trained anew. The rows
are those of a fresh build of what is left, in the same order, under new row ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.bundle.manifest import SegmentEntry
from atlas.errors import BuildError
from indexer.alone import alone_with
from indexer.build import Built
from indexer.layers.gathered import gather_layers
from indexer.living import view_living
from indexer.plan_sections import IndexSection, MeasureSection
from indexer.progress import Watcher
from indexer.remeasure import captions_of
from indexer.revised_catalog import write_revised_catalog
from indexer.revised_spaces import encode_segments, measure_spaces, retrain_spaces
from indexer.revision import Revision, identity_after, require_live, work_folder
from indexer.stages.gather import Gathered, gather_segment
from indexer.stages.sort import SegmentSlice, cut_segments
from indexer.stops import clear_stops
from indexer.work import batches_of, quoted, write_batches

_ORDER_SCHEMA = pa.schema(
    [
        ("row_id", pa.int64()),
        ("old_row", pa.int64()),
        ("taxon_id", pa.int32()),
        ("flags", pa.int32()),
    ]
)


def compact(
    root: Path,
    *,
    index: IndexSection,
    settings: MeasureSection,
    retrains: bool = False,
    watcher: Watcher,
) -> Built:
    """Make the live bundle in `root` one sorted run of segments of `index.segment_rows` at most.

    With `retrains` every index is trained anew, too, by the settings `index`. `was_live` where the
    bundle is compact already and nothing is to be trained. Raises BuildError where recall is below
    the settings'.
    """
    with clear_stops(), alone_with(root):
        base = require_live(root)
        what = ("compact", index.segment_rows, *((index,) if retrains else ()))
        revision = Revision(
            root,
            base,
            work_folder(root, "compact"),
            identity := identity_after(base, *what),
            watcher,
            retrains=retrains,
        )
        with revision.noting():
            return _rewrite(revision, identity, index, settings, watcher, retrains=retrains)


def _rewrite(
    revision: Revision,
    identity: str,
    index: IndexSection,
    settings: MeasureSection,
    watcher: Watcher,
    *,
    retrains: bool,
) -> Built:
    """Go through the steps, and make the outcome live."""
    base = revision.base
    rows = revision.list_living(base.segments)
    counted = sum(source.rows_out - source.removed for source in base.sources)
    if rows != counted:
        raise BuildError("account", f"{counted} rows in all accounts, but {rows} in segments")
    order = revision.work.order
    if not order.exists():
        with watcher.stage("sort", 1, "order") as advance:
            _write_order(revision, order)
            advance(1)
    cuts = cut_segments(rows, index.segment_rows, revision.state.first_segment)
    if not retrains and _is_compact(base.segments, cuts, rows, order):
        revision.discard()
        return Built(manifest=base, was_live=True)
    segments = _gather(revision, cuts, rows, order, watcher)
    if retrains:
        retrain_spaces(revision, segments, index, order)
    else:
        encode_segments(revision, segments)
    write_revised_catalog(revision, segments, base.sources)
    taxa = pq.read_table(revision.work.taxa)
    captions = {
        space.name: queries
        for space in revision.spaces.values()
        if (queries := captions_of(space, taxa, settings.queries, index.seed, watcher)) is not None
    }
    measure_spaces(revision, segments, captions, settings, index.seed)
    layers = gather_layers(
        base.layers,
        base.segments,
        segments,
        order=order,
        root=revision.root,
        work=revision.work.layers,
        number=revision.state.number,
    )
    manifest = revision.publish(segments, base.sources, identity=identity, layers=layers)
    return Built(manifest=manifest, was_live=False)


def _write_order(revision: Revision, path: Path) -> None:
    """Where each row goes: sorted by (taxon, cell, day, image id), as a build sorts."""
    scratch = revision.work.scratch
    scratch.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"temp_directory": str(scratch)}) as connection:
        view_living(connection, revision.stored(revision.base.segments), "stored")
        reader = batches_of(
            connection,
            "SELECT row_number() OVER (ORDER BY living.taxon_id, cell NULLS LAST, "
            "observed_from NULLS LAST, image_id::UUID) - 1 AS row_id, living.row_id AS old_row, "
            "living.taxon_id, living.flags "
            f"FROM read_parquet({quoted(revision.living)}) AS living "
            "JOIN stored USING (row_id) ORDER BY 1",
        )
        write_batches(path, _ORDER_SCHEMA, (batch.cast(_ORDER_SCHEMA) for batch in reader))


def _is_compact(
    segments: Sequence[SegmentEntry], cuts: Sequence[SegmentSlice], rows: int, order: Path
) -> bool:
    if [segment.rows for segment in segments] != [cut.rows for cut in cuts]:
        return False
    old = pq.read_table(order, columns=["old_row"])["old_row"].to_numpy()
    return bool((old == np.arange(rows)).all())


def _gather(
    revision: Revision, cuts: Sequence[SegmentSlice], rows: int, order: Path, watcher: Watcher
) -> list[SegmentEntry]:
    sources = [
        Gathered(
            folder=revision.folder(segment.name),
            first_row=segment.first_row,
            rows=segment.rows,
            hosts_pictures=segment.hosts_pictures,
        )
        for segment in revision.base.segments
    ]
    dims = {name: space.dim for name, space in revision.spaces.items()}
    with watcher.stage("segments", rows, "rows") as advance:
        for cut in cuts:
            gather_segment(
                sources,
                dims,
                order=order,
                first_row=cut.first_row,
                rows=cut.rows,
                scratch=revision.work.scratch,
                folder=revision.folder(cut.name),
                progress=advance,
            )
    hosts = any(source.hosts_pictures for source in sources)
    return [
        SegmentEntry(name=cut.name, first_row=cut.first_row, rows=cut.rows, hosts_pictures=hosts)
        for cut in cuts
    ]
