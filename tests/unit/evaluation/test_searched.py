"""The search of an evaluation: which rows count, their order, and that it is the server's own."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest

from atlas.bundle.bundle import CURVE_FILE
from atlas.bundle.flags import Flag
from atlas.bundle.manifest import encode_json
from atlas.catalog import Catalog
from atlas.search.curve import Curve, CurvePoint
from atlas.search.planner import SearchSettings
from atlas.search.retrieval import Question, Retrieval
from atlas.search.vectors import unit_vectors
from indexer.evaluation.matching import match_images
from indexer.evaluation.query_set import Query
from indexer.evaluation.searched import Reach, hidden_rows, open_space
from indexer.evaluation.settings import Match
from tests.bundle_factory import SPACE, random_vectors, write_bundle
from tests.catalog_factory import ImageCase, image_id_of

DIM = 16


def query_of(*images: str) -> Query:
    """A query with these relevant images."""
    return Query(query_id="1", text="a frog", categories=(), images=images)


def test_hits_are_those_of_the_server(tmp_path: Path) -> None:
    """An evaluation of another search than the served one would judge the wrong thing."""
    images = [ImageCase(flags=int(Flag.DUPLICATE_PICTURE) if i % 9 == 0 else 0) for i in range(900)]
    parts = [random_vectors(600, DIM, 1), random_vectors(300, DIM, 2)]
    bundle = write_bundle(
        tmp_path,
        parts,
        images=images,
        removed=(3, 610),
        factories=("IVF8,SQ4", None),
    )
    hidden = hidden_rows(bundle, with_held_back=False)
    # As large segments are: none is small enough to be scored whole.
    settings = SearchSettings(exact_ms=0.0, calibrate=False)
    served = open_space(bundle, SPACE, hidden, exact=False, settings=settings)
    exact = open_space(bundle, SPACE, hidden, exact=True)
    assert served.reach is not None
    assert exact.reach is None
    catalog = Catalog.open(bundle.catalog_path)
    retrieval = Retrieval(bundle, catalog, settings)
    for query in unit_vectors(random_vectors(20, DIM, 7)):
        for space, everything in ((served, False), (exact, True)):
            page = retrieval.search(Question(space=SPACE, vector=query, limit=50, exact=everything))
            assert space.first_rows(query, 50).tolist() == [hit.row_id for hit in page.hits]
    catalog.close()


def test_ties_go_to_the_lower_row(tmp_path: Path) -> None:
    """Rank is what a user sees, so equal scores have one order."""
    vectors = np.zeros((6, 4), np.float16)
    vectors[:, 0] = 1
    vectors[4] = [0, 1, 0, 0]
    bundle = write_bundle(tmp_path, [vectors[:3], vectors[3:]])
    space = open_space(bundle, SPACE, np.empty(0, np.int64), exact=True)
    query = np.array([1, 0, 0, 0], np.float32)
    assert space.first_rows(query, 10).tolist() == [0, 1, 2, 3, 5, 4]
    assert space.first_rows(query, 4).tolist() == [0, 1, 2, 3]


def test_rows_that_nobody_is_shown(tmp_path: Path) -> None:
    """Removed rows never count, held back ones when it is asked for."""
    held_back = ImageCase(flags=int(Flag.DATE_IMPLAUSIBLE))
    mild = ImageCase(flags=int(Flag.NAME_MISSING))
    images = [ImageCase(), held_back, ImageCase(), mild, held_back]
    bundle = write_bundle(tmp_path, [random_vectors(5, 4, 1)], images=images, removed=(2, 4))
    assert hidden_rows(bundle, with_held_back=False).tolist() == [1, 2, 4]
    assert hidden_rows(bundle, with_held_back=True).tolist() == [2, 4]
    space = open_space(bundle, SPACE, np.array([1, 2, 4]), exact=True)
    assert sorted(space.first_rows(np.eye(4, dtype=np.float32)[0], 9)) == [0, 3]


def test_reach_is_the_curves_default(tmp_path: Path) -> None:
    """The measured curve says what is served; without one the server's formula does."""
    bundle = write_bundle(tmp_path, [random_vectors(400, DIM, 1)], factories=("IVF8,SQ8",))
    none = np.empty(0, np.int64)
    by_formula = open_space(bundle, SPACE, none, exact=False).reach
    assert by_formula is not None
    assert by_formula.fetch == 400
    point = CurvePoint(
        queries="text", path="index", probes=5, fetch=120, recall=0.9, asked=9, default=True
    )
    curve = Curve(space=SPACE, k=10, rows=400, points=(point,))
    bundle.space_path(SPACE, CURVE_FILE).write_bytes(encode_json(curve))
    assert open_space(bundle, SPACE, none, exact=False).reach == Reach(5, 400)


@pytest.mark.parametrize(
    ("match", "names", "rows"),
    [
        ("image_id", (str(image_id_of(2)), str(image_id_of(0))), [0, 2]),
        ("occurrence_id", ("occurrence-1", "occurrence-2"), [1, 2]),
        ("media_url", ("https://media.test/1.jpg",), [0, 1, 2]),
    ],
)
def test_images_are_found_by_any_id(
    tmp_path: Path, match: Match, names: tuple[str, ...], rows: list[int]
) -> None:
    """All photos of a named record are right answers; so is every row of a named address."""
    bundle = write_bundle(tmp_path, [random_vectors(3, 4, 1)])
    matching = match_images(bundle, [query_of(*names)], match, np.empty(0, np.int64))
    assert matching.relevant_rows(query_of(*names)).tolist() == rows
    assert not matching.unknown


def test_unknown_and_hidden_images_are_told_apart(tmp_path: Path) -> None:
    """A wrong `match` and a strict quality filter need different remedies."""
    bundle = write_bundle(tmp_path, [random_vectors(4, 4, 1)])
    stranger = str(uuid.UUID(int=1))
    query = query_of(str(image_id_of(0)), str(image_id_of(3)), stranger)
    matching = match_images(bundle, [query], "image_id", np.array([3]))
    assert matching.unknown == {stranger}
    assert matching.hidden == {str(image_id_of(3))}
    assert matching.relevant_rows(query).tolist() == [0]
    assert matching.missing(query) == 2
