"""The recall of finished segments: read where they lie, and refused where it is too low."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from atlas.errors import BuildError
from atlas.search.curve import Curve
from indexer.plan_sections import MeasureSection
from indexer.progress import Silent
from indexer.recall import check_recall, measure_recall, segment_in
from indexer.stages.encode import encode_rows
from indexer.stages.measure import QuerySet
from indexer.stages.train import train_space
from tests.bundle_factory import random_vectors

DIM, ROWS = 8, 600


class Listening(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        """Keep the message."""
        self.notes.append(message)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A segment's folder with the vectors of one space, `small`."""
    random_vectors(ROWS, DIM, 1).tofile(tmp_path / "small.f16")
    return tmp_path


def curve_of(folder: Path, captions: QuerySet | None = None) -> Curve:
    """The curve of the segment in `folder`."""
    segment = segment_in(folder, "small", first_row=0, rows=ROWS, dim=DIM)
    return measure_recall("small", [segment], captions, queries=20, k=10, seed=0, watcher=Silent())


def test_a_segment_is_searched_by_its_index_where_it_has_one(folder: Path) -> None:
    """Would break: the curve tells of exact search, and the server searches an index."""
    assert {point.path for point in curve_of(folder).points} == {"exact"}
    trained = folder / "coarse.faiss"
    chosen = np.arange(ROWS)
    train_space(
        [(folder / "small.f16", ROWS)],
        DIM,
        "IVF8,SQ8",
        trained,
        chosen=chosen,
        seed=0,
        device="cpu",
    )
    encode_rows(folder, "small", ROWS, DIM, trained, device="cpu")
    measured = curve_of(folder)
    assert {point.path for point in measured.points} == {"index"}
    assert max(point.recall for point in measured.points) > 0.95


def test_captions_are_measured_beside_stored_rows(folder: Path) -> None:
    """Would break: text lies apart from pictures, and only pictures were measured."""
    captions = QuerySet("text", random_vectors(5, DIM, 2).astype(np.float32), np.full(5, -1))
    (image, text) = curve_of(folder, captions).served()
    assert (image.queries, image.asked, image.recall) == ("image", 20, 1.0)
    assert (text.queries, text.asked, text.recall) == ("text", 5, 1.0)


def test_too_low_recall_stops_a_revision_and_is_told(folder: Path) -> None:
    """Would break: a bundle that misses what it should find goes live."""
    curve, watcher = curve_of(folder), Listening()
    check_recall(curve, MeasureSection(recall_target=1.0), watcher)
    assert watcher.notes == [
        "recall@10 of image queries in space small is 1.0000 (exact, 20 asked)"
    ]
    missed = tuple(msgspec.structs.replace(point, recall=0.9) for point in curve.points)
    poor = msgspec.structs.replace(curve, points=missed)
    check_recall(poor, MeasureSection(recall_target=0.9), Silent())
    with pytest.raises(BuildError, match=r"space small is 0\.9000, below 0\.91"):
        check_recall(poor, MeasureSection(recall_target=0.91), Silent())
