"""Near-duplicates stand behind one photo: counted, never lost, whatever page is asked for."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.bundle import Bundle
from atlas.catalog import Catalog
from atlas.search.diversity import DiversitySettings
from atlas.search.filters import Filter
from atlas.search.planner import SearchSettings
from atlas.search.retrieval import Page, Question, Retrieval
from tests.bundle_factory import FURTHER, SPACE, write_bundle
from tests.catalog_factory import ImageCase
from tests.poor_index import POOR, through_the_index

DIM = 12
SIZES = (320, 90)
TOTAL = sum(SIZES)
LEAST = 0.9
CELLS = (0x871FB4670FFFFFF, 0x871FB4671FFFFFF)


def _images() -> tuple[ImageCase, ...]:
    """Bursts of a few rows, sorted as a bundle is; some lack an observer, a day or a place."""
    rng = np.random.default_rng(2)
    images = []
    for rows in SIZES:
        keys = sorted(
            (int(rng.integers(3, 5)), int(rng.integers(2)), int(rng.integers(1, 4)))
            for _ in range(rows)
        )
        for taxon, place, day in keys:
            kind = rng.random()
            first = None if kind > 0.95 else date(2024, 5, day)
            images.append(
                ImageCase(
                    taxon_id=taxon,
                    cell=None if kind < 0.05 else CELLS[place],
                    observed_from=None if kind > 0.95 else first,
                    observed_to=None
                    if kind > 0.95
                    else (date(2024, 6, 1) if kind > 0.9 else first),
                    observer=(None, "", "Ann", "Ben", "Cas")[int(rng.integers(5))],
                    source_id=int(rng.integers(2)),
                )
            )
    return tuple(images)


IMAGES = _images()


def _vectors(seed: int) -> list[np.ndarray[Any, np.dtype[np.float16]]]:
    """Four views and a little noise: many rows are alike, and alikeness is not transitive."""
    rng = np.random.default_rng(seed)
    views = rng.standard_normal((4, DIM))
    parts = []
    for rows in SIZES:
        vectors = views[rng.integers(0, 4, rows)] + 0.35 * rng.standard_normal((rows, DIM))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        parts.append(vectors.astype(np.float16))
    return parts


VECTORS: np.ndarray[Any, np.dtype[np.float16]] = np.concatenate(_vectors(1))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two segments, one with an index, in two spaces."""
    return write_bundle(
        tmp_path_factory.mktemp("bursts"),
        _vectors(1),
        images=IMAGES,
        factories=("IVF4,Flat", None),
        further=_vectors(2),
    )


@pytest.fixture(scope="module")
def retrievals(bundle: Bundle) -> dict[str, Retrieval]:
    """Through a poor index, and exact."""
    catalog = Catalog.open(bundle.catalog_path)
    diversity = DiversitySettings(collapse_cosine=LEAST)
    poor, usual = (
        Retrieval(bundle, catalog, search, diversity=diversity)
        for search in (POOR, SearchSettings())
    )
    return {"poor": through_the_index(poor), "usual": usual}


def _query(seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)


def _walk(retrieval: Retrieval, question: Question) -> list[Page]:
    pages = [retrieval.search(question)]
    while (cursor := pages[-1].next_cursor) is not None:
        pages.append(retrieval.search(msgspec.structs.replace(question, cursor=cursor)))
    return pages


def _burst(row: int) -> tuple[object, ...] | None:
    image = IMAGES[row]
    if not image.observer or image.cell is None or image.observed_from is None:
        return None
    if image.observed_from != image.observed_to:
        return None
    segment = 0 if row < SIZES[0] else 1
    return (segment, image.taxon_id, image.cell, image.observed_from, image.observer)


def _collapsed(rows: list[int]) -> dict[int, list[int]]:
    """Each hit with what it takes, in the order of `rows`, one pair at a time."""
    taken: dict[int, list[int]] = {}
    seen: set[int] = set()
    for row in rows:
        if row in seen:
            continue
        own = VECTORS[row].astype(np.float64)
        own /= np.linalg.norm(own)
        taken[row] = sorted(
            other
            for other in rows
            if other != row
            and other not in seen
            and _burst(row) is not None
            and _burst(other) == _burst(row)
            and abs(other - row) <= DiversitySettings().burst_rows
            and VECTORS[other].astype(np.float64) @ own >= LEAST
        )
        seen |= {row, *taken[row]}
    return taken


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1_000),
    sources=st.sampled_from([None, ("museum",)]),
    limit=st.integers(25, 200),
    fused=st.booleans(),
)
@pytest.mark.parametrize("name", ["poor", "usual"])
def test_collapsing_equals_its_definition(
    name: str,
    retrievals: dict[str, Retrieval],
    seed: int,
    sources: tuple[str, ...] | None,
    limit: int,
    fused: bool,
) -> None:
    """Every passing row is a hit or stands behind one, once, on pages of any size."""
    question = Question(
        space=SPACE,
        vector=_query(seed),
        also={FURTHER: _query(seed + 1)} if fused else {},
        filter=Filter(sources=sources),
        limit=limit,
    )
    plain = [hit.row_id for page in _walk(retrievals[name], question) for hit in page.hits]
    pages = _walk(retrievals[name], msgspec.structs.replace(question, collapse=True))
    assert all(len(page.hits) == limit for page in pages[:-1])
    found = {hit.row_id: list(hit.collapsed) for page in pages for hit in page.hits}
    assert found == _collapsed(plain)
    assert list(found) == list(_collapsed(plain))
    assert any(found.values())
    for hit in (hit for page in pages for hit in page.hits):
        if not fused:
            assert hit.spaces[0].rank == plain.index(hit.row_id) + 1


def test_a_group_counts_its_burst_too(retrievals: dict[str, Retrieval]) -> None:
    """Under `diversify` the count tells how many near-duplicates the photo shown has."""
    question = Question(
        space=SPACE, vector=_query(4), limit=10, diversify="species", collapse=True, exact=True
    )
    page = retrievals["usual"].search(question)
    assert len(page.hits) == 2
    plain = [row for row in range(TOTAL) if row != page.hits[0].row_id]
    assert (
        list(page.hits[0].collapsed)
        == _collapsed([page.hits[0].row_id, *plain])[page.hits[0].row_id]
    )
