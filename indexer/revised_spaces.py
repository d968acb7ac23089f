"""The vector spaces of a bundle's next state: lists filled, indexes trained anew, recall measured.

Makes files where the revision says, and only those that are not there. One caller.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from atlas.bundle.bundle import SPACE_FILE
from atlas.bundle.files import atomic_write
from atlas.bundle.manifest import SegmentEntry, encode_json, read_struct
from atlas.search.curve import Curve
from atlas.search.torch_codes import choose_device
from indexer.fit import SegmentFolder
from indexer.indexing import index_space
from indexer.plan_sections import IndexSection, MeasureSection
from indexer.recall import check_recall, measure_recall, segment_in
from indexer.revision import Revision
from indexer.stages.encode import encode_rows
from indexer.stages.measure import QuerySet


def encode_segments(revision: Revision, segments: Sequence[SegmentEntry]) -> None:
    """Put new segments into the inverted lists of every space that has a trained index."""
    for space in revision.spaces.values():
        if space.factory is None:
            continue
        rows, device = sum(segment.rows for segment in segments), choose_device("auto")
        with revision.watcher.stage("encode", rows, "rows") as advance:
            for segment in segments:
                encode_rows(
                    revision.folder(segment.name),
                    space.name,
                    segment.rows,
                    space.dim,
                    revision.coarse(space.name),
                    device=device,
                    progress=advance,
                )


def retrain_spaces(
    revision: Revision, segments: Sequence[SegmentEntry], settings: IndexSection, order: Path
) -> None:
    """Train the index of every space anew on all rows, and fill the new segments' lists.

    The kind of each index stays, its number of lists follows the rows. `order` has `taxon_id` of
    all rows in their order.
    """
    folders = [SegmentFolder(revision.folder(segment.name), segment.rows) for segment in segments]
    for name, space in revision.spaces.items():
        wanted = settings
        if space.factory is not None:
            kind = re.sub(r"IVF\d+", "IVF{n}", space.factory)
            wanted = msgspec.structs.replace(settings, factory=kind, exact_below=0)
        folder = revision.space_folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        factory = index_space(
            name, space.dim, folders, wanted, order=order, folder=folder, watcher=revision.watcher
        )
        revision.spaces[name] = msgspec.structs.replace(space, factory=factory)
        if not (folder / SPACE_FILE).exists():
            atomic_write(folder / SPACE_FILE, encode_json(revision.spaces[name]))


def measure_spaces(
    revision: Revision,
    segments: Sequence[SegmentEntry],
    captions: Mapping[str, QuerySet],
    settings: MeasureSection,
    seed: int,
) -> None:
    """Measure every space over all its vectors; BuildError where recall is too low.

    `captions` are text-like queries by space, where its encoder is at hand.
    """
    for entry in revision.base.spaces:
        path = revision.curve_file(entry)
        if not path.exists():
            space = revision.spaces[entry.name]
            measured = [
                segment_in(
                    revision.folder(segment.name),
                    space.name,
                    first_row=segment.first_row,
                    rows=segment.rows,
                    dim=space.dim,
                )
                for segment in segments
            ]
            curve = measure_recall(
                space.name,
                measured,
                captions.get(space.name),
                queries=settings.queries,
                k=settings.k,
                seed=seed,
                watcher=revision.watcher,
            )
            atomic_write(path, encode_json(curve))
        check_recall(read_struct(path, Curve), settings, revision.watcher)
