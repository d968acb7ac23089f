"""The recall curve of one space over finished segments, and whether it is high enough.

Knows where a segment's vectors and index lie, and nothing of bundles, plans or revisions. One
caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from atlas.bundle.segment import index_name, vectors_name
from atlas.errors import BuildError
from atlas.search.curve import Curve
from atlas.search.index import read_index
from indexer.plan_sections import MeasureSection
from indexer.progress import Watcher
from indexer.stages.measure import (
    MeasuredSegment,
    QuerySet,
    image_queries,
    measure_space,
    settings_of,
)


def segment_in(folder: Path, space: str, *, first_row: int, rows: int, dim: int) -> MeasuredSegment:
    """The segment in `folder` as one space searches it: with its index, where it has one."""
    vectors = np.memmap(folder / vectors_name(space), np.float16, mode="r", shape=(rows, dim))
    index = folder / index_name(space)
    return MeasuredSegment(first_row, vectors, read_index(index) if index.exists() else None)


def measure_recall(
    space: str,
    segments: Sequence[MeasuredSegment],
    captions: QuerySet | None,
    *,
    queries: int,
    k: int,
    seed: int,
    watcher: Watcher,
) -> Curve:
    """Recall at `k` of `queries` stored rows, drawn by `seed`, and of `captions`, where given."""
    sets = [image_queries(segments, queries, seed)]
    if captions is not None:
        sets.append(captions)
    total = len(settings_of(segments)) * len(sets)
    with watcher.stage("measure", total, "settings") as advance:
        return measure_space(space, segments, sets, k=k, seed=seed, progress=advance)


def check_recall(curve: Curve, settings: MeasureSection, watcher: Watcher) -> None:
    """Tell the recall of what will be served; BuildError where it is below the settings'."""
    for point in curve.served():
        said = (
            f"recall@{settings.k} of {point.queries} queries in space {curve.space} is "
            f"{point.recall:.4f}"
        )
        watcher.note(f"{said} ({point.path}, {point.asked} asked)")
        if point.recall < settings.recall_target:
            raise BuildError("measure", f"{said}, below {settings.recall_target}")
