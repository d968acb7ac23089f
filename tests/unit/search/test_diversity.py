"""Diverse pages against brute force: one hit a group, none missing, with any filter and index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h3
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.bundle import Bundle
from atlas.bundle.flags import Flag
from atlas.catalog import Catalog
from atlas.errors import BundleError, InvalidQuery
from atlas.search.diversity import Diversify, DiversitySettings
from atlas.search.filters import Filter
from atlas.search.fusion import FusionSettings
from atlas.search.groups import PlaceGroups, SpeciesGroups
from atlas.search.planner import SearchSettings
from atlas.search.retrieval import Question, Retrieval
from atlas.search.selection import Selection
from tests.bundle_factory import FURTHER, SPACE, random_vectors, write_bundle
from tests.catalog_factory import FINEST, ImageCase, TaxonCase
from tests.pages import walk
from tests.poor_index import POOR, through_the_index

DIM, FURTHER_DIM = 16, 12
SIZES = (600, 1, 800, 90)
TOTAL = sum(SIZES)
REMOVED = (3, 4, 600, 1_280)
RESOLUTION = 4
# Twenty genera with two species each, and the second of them with a subspecies.
_BELOW = 4
TAXA = (
    TaxonCase(taxon_id=0, last_descendant=80, parent_id=None, rank="root", scientific_name="Life"),
    *(
        TaxonCase(
            taxon_id=taxon,
            last_descendant=(taxon + 3, taxon, taxon + 1, taxon)[(taxon - 1) % _BELOW],
            parent_id=(0, taxon - 1, taxon - 2, taxon - 1)[(taxon - 1) % _BELOW],
            rank=("genus", "species", "species", "subspecies")[(taxon - 1) % _BELOW],
            scientific_name=f"taxon {taxon}",
        )
        for taxon in range(1, 81)
    ),
)


def _species(taxon: int) -> int:
    """The species of a taxon, else itself."""
    return taxon - 1 if taxon and (taxon - 1) % _BELOW == 3 else taxon


def _images() -> tuple[ImageCase, ...]:
    """Sorted by taxon within each segment; places are few, some coarse, some unknown."""
    rng = np.random.default_rng(4)
    towns = [(52.4, 4.9), (52.9, 5.4), (-17.8, 179.99), (-17.8, -179.99), (10.4, -84.0), (0.0, 0.0)]
    images = []
    for rows in SIZES:
        # Half of a segment is one species: pages of it would be all alike.
        taxa = np.sort(np.where(rng.random(rows) < 0.5, 42, rng.integers(0, 81, rows)))
        for taxon in taxa.tolist():
            latitude, longitude = towns[int(rng.integers(len(towns)))]
            cell = int(h3.latlng_to_cell(latitude + rng.uniform(0, 0.5), longitude, 7), 16)
            kind = rng.random()
            if kind < 0.1:
                cell = int(h3.cell_to_parent(f"{cell:x}", 2), 16)
            images.append(
                ImageCase(
                    taxon_id=taxon,
                    cell=None if kind > 0.95 else cell,
                    source_id=int(rng.integers(2)),
                    media_licence_id=int(rng.integers(3)),
                    flags=int(Flag.DUPLICATE_PICTURE) if rng.random() < 0.05 else 0,
                )
            )
    return tuple(images)


IMAGES = _images()


def _vectors(dim: int) -> list[np.ndarray[Any, np.dtype[np.float16]]]:
    parts = [random_vectors(rows, dim, seed=rows) for rows in SIZES]
    parts[2][:50] = parts[0][:50]  # ties across segments
    return parts


VECTORS: np.ndarray[Any, np.dtype[np.float16]] = np.concatenate(_vectors(DIM))


def _place(image: ImageCase) -> int:
    if image.cell is None:
        return 0
    written = f"{image.cell:x}"
    if h3.get_resolution(written) < RESOLUTION:
        return image.cell
    return int(h3.cell_to_parent(written, RESOLUTION), 16)


GROUPS: dict[Diversify, list[int]] = {
    "none": list(range(TOTAL)),
    "species": [_species(image.taxon_id) for image in IMAGES],
    "place": [_place(image) for image in IMAGES],
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Four segments in two spaces: two with an index, one of a single row, one without."""
    index = "IVF16,PQ4x4"
    return write_bundle(
        tmp_path_factory.mktemp("diversity"),
        _vectors(DIM),
        images=IMAGES,
        taxa=TAXA,
        removed=REMOVED,
        factories=(index, None, index, None),
        further=_vectors(FURTHER_DIM),
    )


def _retrieval(bundle: Bundle, search: SearchSettings, window: int) -> Retrieval:
    return Retrieval(
        bundle,
        Catalog.open(bundle.catalog_path),
        search,
        fusion=FusionSettings(depth=9, group_depth=6),
        diversity=DiversitySettings(window=window, place_resolution=RESOLUTION),
    )


@pytest.fixture(scope="module")
def poor(bundle: Bundle) -> Retrieval:
    """Through an index that finds little, in many rounds."""
    return through_the_index(_retrieval(bundle, POOR, 5))


@pytest.fixture(scope="module")
def usual(bundle: Bundle) -> Retrieval:
    """With the default settings, under which segments this small are exact."""
    return _retrieval(bundle, SearchSettings(), 200)


def _query(dim: int, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal(dim).astype(np.float32)


def _passing(asked: Filter) -> list[int]:
    taxon = asked.taxon
    assert taxon is None or isinstance(taxon, int)
    return [
        row
        for row, image in enumerate(IMAGES)
        if row not in REMOVED
        and (asked.flags == "all" or not image.flags)
        and (taxon is None or taxon <= image.taxon_id <= taxon + 3)
        and (asked.sources is None or image.source_id == 0)
        and (asked.licences is None or image.media_licence_id == 0)
    ]


_asked = st.builds(
    Filter,
    taxon=st.sampled_from([None, None, 1, 41]),
    sources=st.sampled_from([None, ("museum",)]),
    licences=st.sampled_from([None, ("CC0-1.0",)]),
    flags=st.sampled_from(["default", "all"]),
)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 1_000),
    asked=_asked,
    limits=st.lists(st.integers(1, 200), min_size=1, max_size=3),
    exact=st.booleans(),
    diversify=st.sampled_from(["species", "place"]),
    fused=st.booleans(),
)
@pytest.mark.parametrize("settings_name", ["poor", "usual"])
def test_each_group_is_listed_once(
    settings_name: str,
    poor: Retrieval,
    usual: Retrieval,
    seed: int,
    asked: Filter,
    limits: list[int],
    exact: bool,
    diversify: Diversify,
    fused: bool,
) -> None:
    """All pages together are the groups of the passing rows: none twice, none missing, all full."""
    limits = [max(limit, 10) if fused else limit for limit in limits]
    question = Question(
        space=SPACE,
        vector=_query(DIM, seed),
        also={FURTHER: _query(FURTHER_DIM, seed)} if fused else {},
        filter=asked,
        limit=limits[0],
        exact=exact,
        diversify=diversify,
    )
    pages = walk(poor if settings_name == "poor" else usual, question, limits)
    groups = GROUPS[diversify]
    passing = _passing(asked)
    rows = [hit.row_id for page in pages for hit in page.hits]
    assert set(rows) <= set(passing)
    assert sorted(groups[row] for row in rows) == sorted({groups[row] for row in passing})
    for number, page in enumerate(pages):
        assert page.matching == len(passing)
        if page.next_cursor is not None:
            assert len(page.hits) == limits[number % len(limits)]
    unit = _query(DIM, seed).astype(np.float64)
    unit /= np.linalg.norm(unit)
    for hit in (hit for page in pages for hit in page.hits):
        own = next(place for place in hit.spaces if place.space == SPACE)
        assert abs(own.score - VECTORS[hit.row_id].astype(np.float64) @ unit) < 1e-6
    if not fused and (exact or settings_name == "usual"):
        assert rows == _best_of_each(passing, groups, usual, question)


def _best_of_each(
    passing: list[int], groups: list[int], usual: Retrieval, question: Question
) -> list[int]:
    """Group by over the exact list of every row."""
    everything = msgspec.structs.replace(question, diversify="none", exact=True, limit=200)
    rows = [hit.row_id for page in walk(usual, everything, [200]) for hit in page.hits]
    assert sorted(rows) == passing
    best: dict[int, int] = {}
    for row in rows:
        best.setdefault(groups[row], row)
    return list(best.values())


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1_000),
    asked=_asked,
    limits=st.lists(st.integers(20, 200), min_size=1, max_size=3),
)
@pytest.mark.parametrize("settings_name", ["poor", "usual"])
def test_fused_pages_give_every_row_once(
    settings_name: str,
    poor: Retrieval,
    usual: Retrieval,
    seed: int,
    asked: Filter,
    limits: list[int],
) -> None:
    """Beyond the fused depth the list goes on to its end, without repeats."""
    question = Question(
        space=SPACE,
        vector=_query(DIM, seed),
        also={FURTHER: _query(FURTHER_DIM, seed + 1)},
        filter=asked,
        limit=limits[0],
    )
    pages = walk(poor if settings_name == "poor" else usual, question, limits)
    rows = [hit.row_id for page in pages for hit in page.hits]
    assert len(rows) == len(set(rows))
    assert sorted(rows) == _passing(asked)
    for hit in (hit for page in pages for hit in page.hits):
        ranks = [place.rank for place in hit.spaces if place.rank is not None]
        assert hit.score == pytest.approx(sum(1 / (60 + rank) for rank in ranks))
        assert ranks


def test_a_cursor_is_bound_to_diversity_and_spaces(usual: Retrieval) -> None:
    """Its position would skip hits of another list."""
    question = Question(space=SPACE, vector=_query(DIM, 1), limit=5)
    cursor = usual.search(question).next_cursor
    for change in (
        {"diversify": "species"},
        {"collapse": True},
        {"also": {FURTHER: _query(FURTHER_DIM, 1)}},
    ):
        changed = msgspec.structs.replace(question, cursor=cursor, **change)
        with pytest.raises(InvalidQuery, match="another question"):
            usual.search(changed)


@pytest.mark.parametrize("diversify", ["species", "place"])
def test_groups_are_left_out_whole(bundle: Bundle, diversify: Diversify) -> None:
    """A row too many would be lost, a row too few would be searched again in every round."""
    catalog = Catalog.open(bundle.catalog_path)
    found = (
        SpeciesGroups(catalog, bundle.segments)
        if diversify == "species"
        else PlaceGroups(catalog, bundle.segments, resolution=RESOLUTION, finest=FINEST)
    )
    rows = np.random.default_rng(1).permutation(TOTAL)
    groups = np.array(GROUPS[diversify], np.int64)
    assert found.keys(rows).tolist() == groups[rows].tolist()
    chosen = np.unique(groups)[::3]
    everything = [Selection.everything(segment.rows) for segment in bundle.segments]
    left = found.without(everything, chosen)
    kept = [
        part.positions() + segment.first_row
        for part, segment in zip(left, bundle.segments, strict=True)
    ]
    assert np.concatenate(kept).tolist() == np.flatnonzero(~np.isin(groups, chosen)).tolist()


def test_rows_out_of_order_are_no_bundle(tmp_path: Path) -> None:
    """Species are runs of rows; where they are not, groups would be wrong and look right."""
    images = [ImageCase(taxon_id=taxon) for taxon in (1, 5, 1)]
    opened = write_bundle(tmp_path, [random_vectors(3, DIM, seed=1)], images=images, taxa=TAXA)
    question = Question(space=SPACE, vector=_query(DIM, 1), diversify="species")
    with pytest.raises(BundleError, match="not by taxon"):
        _retrieval(opened, SearchSettings(), 5).search(question)


def test_a_common_species_costs_one_round(bundle: Bundle) -> None:
    """Half of all rows are of one species; a page must not walk through them."""
    shallow = msgspec.structs.replace(POOR, probes=16)
    page = _retrieval(bundle, shallow, 20).search(
        Question(space=SPACE, vector=_query(DIM, 3), limit=12, diversify="species")
    )
    assert len(page.hits) == 12
    assert page.plan.rows_scored < TOTAL
