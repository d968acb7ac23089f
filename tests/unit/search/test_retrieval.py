"""Pages: right against float64, complete, without repeats, with any index and any filter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.bundle import Bundle
from atlas.bundle.flags import Flag
from atlas.bundle.segment import Segment
from atlas.catalog import Catalog
from atlas.errors import InvalidQuery, NotFound
from atlas.search.curve import Curve, CurvePoint
from atlas.search.filters import Filter
from atlas.search.list_counts import HeldRows
from atlas.search.planner import Choice, Probe, Reach, SearchSettings, SpaceIndex, Tier
from atlas.search.ranking import Ranking
from atlas.search.retrieval import Question, Retrieval
from atlas.search.selection import Selection
from atlas.search.vectors import QueryVector, unit_vectors
from tests.bundle_factory import SPACE, random_vectors, write_bundle
from tests.catalog_factory import ImageCase, image_id_of
from tests.pages import walk
from tests.poor_index import POOR, through_the_index

DIM = 16
SIZES = (500, 1, 700, 90)
TOTAL = sum(SIZES)
REMOVED = (3, 4, 600, 1_280)
IMAGES = tuple(
    ImageCase(
        taxon_id=row * 9 // TOTAL,
        source_id=row % 2,
        media_licence_id=row % 3,
        flags=int(Flag.DUPLICATE_PICTURE) if row % 50 == 9 else 0,
    )
    for row in range(TOTAL)
)


def _vectors() -> list[np.ndarray[Any, np.dtype[np.float16]]]:
    parts = [random_vectors(rows, DIM, seed=rows) for rows in SIZES]
    parts[2][:50] = parts[0][:50]  # ties across segments
    return parts


VECTORS: np.ndarray[Any, np.dtype[np.float16]] = np.concatenate(_vectors())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Four segments: two with an index, one of a single row, one without an index."""
    index = "IVF16,PQ4x4"
    return write_bundle(
        tmp_path_factory.mktemp("retrieval"),
        _vectors(),
        images=IMAGES,
        removed=REMOVED,
        factories=(index, None, index, None),
    )


@pytest.fixture(scope="module")
def catalog(bundle: Bundle) -> Catalog:
    """The bundle's catalog."""
    return Catalog.open(bundle.catalog_path)


@pytest.fixture(scope="module")
def poor(bundle: Bundle, catalog: Catalog) -> Retrieval:
    """Retrieval through an index that finds little."""
    return through_the_index(Retrieval(bundle, catalog, POOR))


@pytest.fixture(scope="module")
def usual(bundle: Bundle, catalog: Catalog) -> Retrieval:
    """Retrieval with the default settings, under which segments this small are exact."""
    return Retrieval(bundle, catalog, SearchSettings())


def _query(seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    vector = 3 * np.random.default_rng(seed).standard_normal(DIM)
    if seed % 3 == 0:  # a stored row: its ties come first
        vector = VECTORS[seed % TOTAL].astype(np.float64)
    return vector.astype(np.float32)


def _passing(asked: Filter) -> list[int]:
    return [
        row
        for row, image in enumerate(IMAGES)
        if row not in REMOVED
        and (asked.flags == "all" or not image.flags)
        and (asked.taxon in {None, 0, image.taxon_id})
        and (asked.sources is None or image.source_id == 0)
        and (asked.licences is None or image.media_licence_id == 0)
    ]


# Only taxa without descendants, and the root: the oracle above knows no tree.
_asked = st.builds(
    Filter,
    taxon=st.sampled_from([None, 0, 3, 4, 6, 8]),
    sources=st.sampled_from([None, ("museum",)]),
    licences=st.sampled_from([None, ("CC0-1.0",)]),
    flags=st.sampled_from(["default", "all"]),
)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1_000),
    asked=_asked,
    limits=st.lists(st.integers(3, 200), min_size=1, max_size=3),
    exact=st.booleans(),
)
@pytest.mark.parametrize("settings_name", ["poor", "usual"])
def test_walking_all_pages_gives_every_row_once(
    settings_name: str,
    poor: Retrieval,
    usual: Retrieval,
    seed: int,
    asked: Filter,
    limits: list[int],
    exact: bool,
) -> None:
    """With an index that finds little, pages by offset would repeat some hits and skip others."""
    retrieval = poor if settings_name == "poor" else usual
    question = Question(
        space=SPACE, vector=_query(seed), filter=asked, limit=limits[0], exact=exact
    )
    pages = walk(retrieval, question, limits)
    rows = [hit.row_id for page in pages for hit in page.hits]
    wanted = _passing(asked)
    assert len(rows) == len(wanted)
    assert sorted(rows) == wanted
    for number, page in enumerate(pages):
        assert page.matching == len(wanted)
        if page.next_cursor is not None:
            assert len(page.hits) == limits[number % len(limits)]
    scores = {hit.row_id: hit.score for page in pages for hit in page.hits}
    unit = _query(seed).astype(np.float64)
    unit /= np.linalg.norm(unit)
    for row, score in scores.items():
        assert abs(score - VECTORS[row].astype(np.float64) @ unit) < 1e-6
    if exact or settings_name == "usual":
        assert rows == sorted(rows, key=lambda row: (-scores[row], row))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1_000), asked=_asked, limit=st.integers(1, 200))
def test_exact_search_equals_float64(
    usual: Retrieval, seed: int, asked: Filter, limit: int
) -> None:
    """The oracle of every recall figure must itself be right."""
    page = usual.search(
        Question(space=SPACE, vector=_query(seed), filter=asked, limit=limit, exact=True)
    )
    unit = _query(seed).astype(np.float64)
    unit /= np.linalg.norm(unit)
    passing = np.array(_passing(asked), np.int64)
    wanted = np.sort(VECTORS[passing].astype(np.float64) @ unit)[::-1][:limit]
    assert len(page.hits) == len(wanted)
    assert np.allclose([hit.score for hit in page.hits], wanted, atol=1e-6, rtol=0)
    assert page.plan.path in {"exact", "none"}
    assert page.plan.rows_scored == len(passing)


def test_ties_go_to_the_lower_row(usual: Retrieval) -> None:
    """Equal pictures in two segments must keep one order on every page."""
    page = usual.search(
        Question(
            space=SPACE,
            vector=VECTORS[10].astype(np.float32),
            filter=Filter(flags="all"),
            limit=200,
            exact=True,
        )
    )
    hits = [(-hit.score, hit.row_id) for hit in page.hits]
    assert hits == sorted(hits)
    first = [hit.row_id for hit in page.hits if hit.score == page.hits[0].score]
    assert first == [9, 10, 510, 511]


def test_the_plan_says_what_was_done(bundle: Bundle, catalog: Catalog) -> None:
    """An operator reads from it why a search was slow."""
    good = through_the_index(Retrieval(bundle, catalog, msgspec.structs.replace(POOR, probes=16)))
    page = good.search(Question(space=SPACE, vector=_query(1), limit=5))
    paths = {plan.name: (plan.path, plan.scored) for plan in page.plan.segments}
    assert paths == {
        "0000": ("selector", 9),
        "0001": ("exact", 1),
        "0002": ("selector", 9),
        "0003": ("exact", 87),
    }
    assert page.plan.path == "mixed"
    assert page.plan.rows_scored == 9 + 1 + 9 + 87
    nothing = good.search(Question(space=SPACE, vector=_query(1), filter=Filter(taxon=7)))
    assert [plan.passing for plan in nothing.plan.segments][:1] == [0]
    assert nothing.plan.segments[0].path == "none"


def test_only_lists_with_passing_rows_are_probed(poor: Retrieval) -> None:
    """One list in sixteen holds few of a rare taxon's rows; the page must be full all the same."""
    question = Question(space=SPACE, vector=_query(2), filter=Filter(taxon=3), limit=7)
    page = poor.search(question)
    passing = _passing(question.filter)
    assert len(page.hits) == min(7, len(passing))
    assert {hit.row_id for hit in page.hits} <= set(passing)
    # "exact" is the segment without an index.
    assert {plan.path for plan in page.plan.segments} <= {"none", "exact", "lists", "selector"}
    assert page.plan.rows_scored < page.matching


def test_a_short_index_gives_way_to_exact_scoring(poor: Retrieval) -> None:
    """A list that holds fewer rows than candidates were wanted must not end the page."""
    index = poor._spaces[SPACE]
    probe = Probe(index, QueryVector(unit_vectors(_query(2)[np.newaxis])[0]), recall=0.9)
    segment = index.segments[0]
    everything = Selection.everything(segment.rows)
    exact = probe.find(segment, everything, Choice("exact", ""), Reach(400))
    found = probe.find(segment, everything, Choice("index", ""), Reach(400))
    assert np.array_equal(found.row_ids, exact.row_ids)
    assert found.plan.path == "exact"
    assert "candidates" in found.plan.why
    assert probe.find(segment, everything, Choice("index", ""), Reach(5)).plan.path == "index"


def test_held_back_rows_are_counted(usual: Retrieval) -> None:
    """An answer must say how many records the default filter hides."""
    page = usual.search(Question(space=SPACE, vector=_query(1)))
    everything = usual.search(Question(space=SPACE, vector=_query(1), filter=Filter(flags="all")))
    assert everything.matching == TOTAL - len(REMOVED)
    assert everything.held_back == 0
    assert page.matching + page.held_back == everything.matching
    assert page.held_back > 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"vector": np.ones(DIM + 1, np.float32)}, "vector"),
        ({"vector": np.ones((1, DIM), np.float32)}, "vector"),
        ({"vector": np.zeros(DIM, np.float32)}, "vector"),
        ({"vector": np.full(DIM, np.nan, np.float32)}, "vector"),
        ({"vector": np.full(DIM, np.inf, np.float32)}, "vector"),
        ({"space": "elsewhere"}, "space"),
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"filter": Filter(taxon=99)}, "filter.taxon"),
        ({"cursor": "rubbish"}, "cursor"),
        ({"cursor": ""}, "cursor"),
    ],
)
def test_bad_questions_are_refused_by_name(
    usual: Retrieval, change: dict[str, Any], field: str
) -> None:
    """Each must end as a 4xx that names the field, not as an error of the server."""
    question = msgspec.structs.replace(Question(space=SPACE, vector=_query(1)), **change)
    with pytest.raises(InvalidQuery) as caught:
        usual.search(question)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "change",
    [
        {"vector": _query(5)},
        {"filter": Filter(taxon=3)},
        {"filter": Filter(flags="all")},
        {"exact": True},
        {"made_from": b"a text"},
    ],
)
def test_a_cursor_of_another_question_is_refused(usual: Retrieval, change: dict[str, Any]) -> None:
    """Its position would skip hits of this question."""
    question = Question(space=SPACE, vector=_query(1), limit=5)
    cursor = usual.search(question).next_cursor
    with pytest.raises(InvalidQuery) as caught:
        usual.search(msgspec.structs.replace(question, cursor=cursor, **change))
    assert caught.value.field == "cursor"


def test_a_cursor_of_another_bundle_is_refused(tmp_path: Path) -> None:
    """After an update rows have moved; going on would repeat and skip."""
    question = Question(space=SPACE, vector=_query(1), limit=5)
    made = []
    for number in (1, 2):
        opened = write_bundle(
            tmp_path / str(number), [random_vectors(50, DIM, seed=1)], number=number
        )
        made.append(Retrieval(opened, Catalog.open(opened.catalog_path), SearchSettings()))
    cursor = made[0].search(question).next_cursor
    with pytest.raises(InvalidQuery, match="earlier state"):
        made[1].search(msgspec.structs.replace(question, cursor=cursor))


def test_a_text_keeps_its_cursor_when_its_vector_wavers(usual: Retrieval) -> None:
    """The same text encoded in another batch may differ in the last bits of its vector."""
    question = Question(space=SPACE, vector=_query(1), limit=5, made_from=b"red-eyed frogs")
    cursor = usual.search(question).next_cursor
    wavering = question.vector * np.float32(1) + np.float32(1e-7)
    page = usual.search(msgspec.structs.replace(question, vector=wavering, cursor=cursor))
    assert len(page.hits) == 5


def test_stored_vectors_and_removed_images(usual: Retrieval) -> None:
    """A removed photo must not serve as a question either."""
    vector = usual.vector(image_id_of(1_000), SPACE)
    assert vector.dtype == np.float32
    assert abs(np.linalg.norm(vector) - 1) < 1e-6
    assert np.allclose(vector, VECTORS[1_000], atol=1e-3)
    first = usual.search(Question(space=SPACE, vector=vector, limit=1)).hits[0]
    assert first.score == pytest.approx(1.0, abs=2e-3)
    for row in (REMOVED[0], TOTAL + 5):
        with pytest.raises(NotFound):
            usual.vector(image_id_of(row), SPACE)
    with pytest.raises(InvalidQuery):
        usual.vector(image_id_of(1), "elsewhere")


def test_threads_do_not_disturb_each_other(poor: Retrieval) -> None:
    """Anything set on a shared index or cursor would show as another thread's answer."""
    questions = [
        Question(space=SPACE, vector=_query(i), filter=Filter(taxon=(3, 4, None)[i % 3]))
        for i in range(30)
    ]
    alone = [poor.search(question) for question in questions]
    with ThreadPoolExecutor(max_workers=8) as pool:
        together = list(pool.map(poor.search, questions * 5))
    assert together == alone * 5


def test_the_path_follows_the_costs(bundle: Bundle) -> None:
    """Few passing rows are scored exactly: an index at fixed probes loses them."""
    options = SearchSettings(exact_ms=0.01)
    index = SpaceIndex(SPACE, bundle.segments, curve=None, settings=options)
    # A row costs a tenth of a microsecond in place and one out of order.
    index.costs = msgspec.structs.replace(
        index.costs, in_place_ns=100.0, gathered_ns=1_000.0, centroid_ns=0.0, query_ns=0.0
    )
    indexed, bare = bundle.segments[0], bundle.segments[1]
    rows = indexed.rows

    def path(selection: Selection, *, segment: Segment = indexed, exact: bool = False) -> str:
        choice = index.choose(
            segment,
            selection,
            lambda: HeldRows(np.full(16, selection.count // 16), 16, even=True),
            exact=exact,
            recall=0.9,
        )
        return choice.path

    assert path(Selection.of_run(50, 150, rows)) == "exact"  # 0.01 ms
    assert path(Selection.of_positions(np.arange(0, 60, 6), rows)) == "exact"
    assert path(Selection.everything(rows)) == "index"
    assert path(Selection.everything(rows), exact=True) == "exact"
    assert path(Selection.everything(bare.rows), segment=bare) == "exact"
    assert path(Selection.of_positions(np.empty(0, np.int64), rows)) == "none"


def test_a_tier_must_be_fillable() -> None:
    """Fewer candidates than hits would leave a hole in the list."""
    with pytest.raises(ValueError, match="below depth"):
        Tier(depth=10, fetch=9)


def test_a_search_looks_as_far_as_its_recall_needs(bundle: Bundle) -> None:
    """A page that aims at less must cost less, or nobody can choose between the two."""
    points = tuple(
        CurvePoint(
            queries=kind,
            path="index",
            probes=probes,
            fetch=400,
            codes=30.0 * probes,
            recall=recall,
            asked=9,
            default=False,
        )
        for kind in ("image", "text")
        for probes, recall in ((1, 0.8), (4, 0.95), (16, 1.0))
    )
    curve = Curve(space=SPACE, k=10, rows=TOTAL, points=points)
    # A bundle whose every row passes: no filter, nothing removed or held back.
    index = SpaceIndex(SPACE, bundle.segments, curve=curve, settings=SearchSettings(exact_ms=0.0))
    everything = [Selection.everything(segment.rows) for segment in bundle.segments]
    looked = {}
    for recall in (0.5, 0.9, 0.99):
        query = QueryVector(unit_vectors(_query(4)[np.newaxis])[0])
        ranking = Ranking(index, everything, query, recall=recall, exact=False)
        ranking.glance(5, 1)
        looked[recall] = ranking.plans()[0].lists
    assert looked == {0.5: 1, 0.9: 4, 0.99: 16}
