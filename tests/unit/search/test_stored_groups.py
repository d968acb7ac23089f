"""Near-duplicates that the bundle states: used where they hold, and nothing is lost behind them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.api.atlas_page import describe_atlas
from atlas.api.records import Records
from atlas.bundle import Bundle
from atlas.catalog import Catalog
from atlas.search.bursts import Bursts
from atlas.search.diversity import DiversitySettings
from atlas.search.filters import Filter
from atlas.search.planner import SearchSettings
from atlas.search.retrieval import Question, Retrieval
from atlas.search.stored_groups import StoredGroups
from tests.bundle_factory import SPACE, random_vectors, write_bundle
from tests.catalog_factory import ImageCase, image_id_of

SIZES = (70, 50)
DIM = 8


def _behind() -> dict[int, int]:
    """Groups of up to five rows, over both segments."""
    rng = np.random.default_rng(4)
    rows = rng.permutation(sum(SIZES))[:80].tolist()
    behind: dict[int, int] = {}
    while len(rows) > 5:
        group = sorted(rows.pop() for _ in range(int(rng.integers(2, 6))))
        behind |= dict.fromkeys(group[1:], group[0])
    return behind


BEHIND = _behind()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two segments whose rows are in groups that have nothing to do with their vectors."""
    return write_bundle(
        tmp_path_factory.mktemp("groups"),
        [random_vectors(rows, DIM, seed) for seed, rows in enumerate(SIZES)],
        images=[ImageCase(source_id=row % 3) for row in range(sum(SIZES))],
        duplicates=BEHIND,
    )


@pytest.fixture(scope="module")
def retrieval(bundle: Bundle) -> Retrieval:
    """Search with the settings that the groups were found with."""
    return Retrieval(bundle, Catalog.open(bundle.catalog_path), SearchSettings())


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1_000),
    sources=st.sampled_from([None, ("museum",), ("museum", "garden")]),
    limit=st.integers(5, 60),
)
def test_every_passing_row_is_a_hit_or_stands_behind_the_first_of_its_group(
    retrieval: Retrieval, seed: int, sources: tuple[str, ...] | None, limit: int
) -> None:
    """Would break: a photo is lost, listed twice, or hidden behind one that the filter refuses."""
    question = Question(
        space=SPACE,
        vector=np.random.default_rng(seed).standard_normal(DIM).astype(np.float32),
        filter=Filter(sources=sources),
        limit=limit,
    )

    def walk(asked: Question) -> list[tuple[int, tuple[int, ...]]]:
        found = []
        page = retrieval.search(asked)
        found += [(hit.row_id, hit.collapsed) for hit in page.hits]
        while page.next_cursor is not None:
            page = retrieval.search(msgspec.structs.replace(asked, cursor=page.next_cursor))
            found += [(hit.row_id, hit.collapsed) for hit in page.hits]
        return found

    plain = [row for row, _ in walk(question)]
    wanted: dict[int, list[int]] = {}
    hit_of: dict[int, int] = {}
    for row in plain:
        group = BEHIND.get(row, row)
        if group in hit_of:
            wanted[hit_of[group]].append(row)
        else:
            hit_of[group] = row
            wanted[row] = []
    found = walk(msgspec.structs.replace(question, collapse=True))
    assert found == [(row, tuple(sorted(others))) for row, others in wanted.items()]
    assert any(others for _, others in found)


def test_groups_are_used_only_where_they_answer_what_is_asked(bundle: Bundle) -> None:
    """Would break: an operator sets another cosine, and the bundle's own goes on counting."""
    catalog = Catalog.open(bundle.catalog_path)
    usual = Retrieval(bundle, catalog, SearchSettings())
    assert isinstance(usual._bursts, StoredGroups)
    for asked in (DiversitySettings(collapse_cosine=0.9), DiversitySettings(burst_rows=10)):
        other = Retrieval(bundle, catalog, SearchSettings(), diversity=asked)
        assert isinstance(other._bursts, Bursts)


def test_a_bundle_from_before_there_were_groups_opens(tmp_path: Path) -> None:
    """Would break: every bundle has to be built anew before it can be served."""
    older = write_bundle(tmp_path, [random_vectors(20, DIM, 1)])
    catalog = Catalog.open(older.catalog_path)
    assert catalog.duplicate_rule is None
    assert catalog.duplicate_of(3) is None
    assert catalog.duplicates_of(3) == 0
    page = Retrieval(older, catalog, SearchSettings()).search(
        Question(space=SPACE, vector=np.ones(DIM, np.float32), limit=5, collapse=True)
    )
    assert len(page.hits) == 5


def test_the_catalog_says_what_repeats_what(bundle: Bundle) -> None:
    """Would break: a photo's page names another photo than the one that it repeats."""
    catalog = Catalog.open(bundle.catalog_path)
    for row in range(sum(SIZES)):
        first = BEHIND.get(row)
        assert catalog.duplicate_of(row) == (None if first is None else image_id_of(first))
        assert catalog.duplicates_of(row) == list(BEHIND.values()).count(row)
        shown = Records(bundle, catalog).read(image_id_of(row))
        assert shown.duplicate_of == (None if first is None else image_id_of(first))
        assert shown.duplicates == list(BEHIND.values()).count(row)
    assert catalog.duplicate_groups(np.empty(0, np.int64)) == {}
    counts = describe_atlas(bundle, catalog, default_space=SPACE, with_encoder=()).counts
    assert counts.duplicates == len(BEHIND)
    assert counts.duplicate_groups == len(set(BEHIND.values()))
