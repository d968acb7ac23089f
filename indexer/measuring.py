"""One space's recall over its segments: measured, kept beside its index, and held to a target.

Knows finished segments and queries, not where either comes from. One caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from atlas.bundle.files import atomic_write
from atlas.bundle.manifest import encode_json, read_struct
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


def measured_segment(
    folder: Path, space: str, *, first_row: int, rows: int, dim: int
) -> MeasuredSegment:
    """A finished segment of `rows` rows as it is searched in a space of `dim` dimensions."""
    index = folder / index_name(space)
    return MeasuredSegment(
        first_row,
        np.memmap(folder / vectors_name(space), np.float16, mode="r", shape=(rows, dim)),
        read_index(index) if index.exists() else None,
    )


def curve_of(
    space: str,
    segments: Sequence[MeasuredSegment],
    captions: QuerySet | None,
    settings: MeasureSection,
    seed: int,
    watcher: Watcher,
) -> Curve:
    """The curve of a space: stored rows, drawn by `seed`, as queries, and `captions`, if any."""
    sets = [image_queries(segments, settings.queries, seed)]
    if captions is not None:
        sets.append(captions)
    total = len(settings_of(segments)) * len(sets)
    with watcher.stage("measure", total, "settings") as advance:
        return measure_space(space, segments, sets, k=settings.k, seed=seed, progress=advance)


def measure_into(
    path: Path, space: str, curve: Callable[[], Curve], target: float, watcher: Watcher
) -> None:
    """Write `curve` to `path`, unless it is there, and say what it holds.

    Raises BuildError where a setting that is served finds less than `target`.
    """
    if not path.exists():
        atomic_write(path, encode_json(curve()))
    stored = read_struct(path, Curve)
    for point in stored.served():
        found = (
            f"recall@{stored.k} of {point.queries} queries in space {space} is {point.recall:.4f}"
        )
        watcher.note(f"{found} ({point.path}, {point.asked} asked)")
        if point.recall < target:
            raise BuildError("measure", f"{found}, below the {target} asked for")
