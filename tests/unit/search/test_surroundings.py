"""Records around points: the narrowed reading against every record measured by PROJ."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import h3
import numpy as np
import pyproj
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from atlas.catalog import Catalog
from atlas.search import recorded_places
from atlas.search.place_filters import Around
from atlas.search.place_sources import CatalogPlaces, OrderedPlaces, place_source
from atlas.search.selection import Selection
from atlas.search.surroundings import Surroundings
from tests.bundle_factory import random_vectors, write_bundle
from tests.catalog_factory import FINEST, ImageCase

WGS84 = pyproj.Geod(ellps="WGS84")
SIZES = (300, 1, 400)
CENTRES = ((0.0, 0.0), (-17.8, 179.95), (89.95, 20.0), (-89.9, -100.0), (52.4, 4.9), (5.0, -180.0))
UNCERTAINTIES_M = (None, 10.0, 900.0, 9_999.0, 10_000.0, 28_500.0, 2e5, 5e6)


class World(NamedTuple):
    """Some records and where they are read from."""

    images: list[ImageCase]
    catalog: Catalog
    found: Surroundings

    def __repr__(self) -> str:
        """Short: a test that fails shows what it was asked, and not 700 records."""
        return f"World({len(self.images)} records)"


def _images() -> list[ImageCase]:
    """Records around the centres, in the order of their taxa, a few without a place."""
    random = np.random.default_rng(5)
    images = []
    for _ in range(sum(SIZES)):
        latitude = longitude = cell = None
        if random.random() < 0.95:
            centre = CENTRES[random.integers(len(CENTRES))]
            spread = float(random.choice([0.0, 0.05, 0.5, 5.0]))
            latitude = float(np.clip(centre[0] + random.normal() * spread, -90, 90))
            longitude = float((centre[1] + random.normal() * spread + 180) % 360 - 180)
            cell = int(h3.latlng_to_cell(latitude, longitude, FINEST), 16)
        uncertainty = UNCERTAINTIES_M[random.integers(len(UNCERTAINTIES_M))]
        images.append(
            ImageCase(
                taxon_id=0,
                cell=cell,
                latitude=latitude,
                longitude=longitude,
                uncertainty_m=uncertainty if latitude is not None else None,
            )
        )
    return images


@pytest.fixture(scope="module", params=["segments", "catalog"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three segments of records, with their places in order, or made before these were kept."""
    images, in_order = _images(), request.param == "segments"
    root: Path = tmp_path_factory.mktemp("surroundings")
    vectors = [random_vectors(rows, 4, seed=1) for rows in SIZES]
    bundle = write_bundle(root, vectors, images=images, removed=(), in_order=in_order)
    catalog = Catalog.open(bundle.catalog_path)
    source = place_source(catalog, bundle.segments)
    assert isinstance(source, OrderedPlaces if in_order else CatalogPlaces)
    return World(images, catalog, Surroundings(catalog, bundle.segments))


@pytest.fixture(params=["all coarse ones kept", "some kept", "none kept"])
def world(request: pytest.FixtureRequest, opened: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same records with as many uncertain ones in memory as there may be."""
    most = {"all coarse ones kept": 1_000, "some kept": 200, "none kept": 0}[request.param]
    monkeypatch.setattr(recorded_places, "_MOST_COARSE", most)
    monkeypatch.setattr(recorded_places, "_COARSE_ONE_IN", 10**9)
    fresh = Surroundings(opened.catalog, opened.found._segments)
    above_m = {1_000: 10_000.0, 200: 30_000.0, 0: float("inf")}[most]
    assert fresh._places._coarse.above_m == above_m
    return opened._replace(found=fresh)


def _rows(selections: tuple[Selection, ...]) -> list[int]:
    starts = np.cumsum([0, *SIZES])
    return [
        int(row)
        for selection, start in zip(selections, starts, strict=False)
        for row in selection.positions() + start
    ]


def _true(images: list[ImageCase], around: Around) -> tuple[list[int], list[int]]:
    """Rows that pass and rows that may, each measured by itself."""
    passing, possible = [], []
    for row, image in enumerate(images):
        if image.latitude is None or image.longitude is None or image.uncertainty_m is None:
            possible.append(row)
            continue
        metres = WGS84.inv(around.longitude, around.latitude, image.longitude, image.latitude)[2]
        uncertainty_m = float(np.float32(image.uncertainty_m))
        if metres + uncertainty_m <= around.within_m:
            passing.append(row)
        if metres - uncertainty_m <= around.within_m:
            possible.append(row)
    return passing, possible


_near_a_centre = st.builds(
    lambda centre, north, east, within_m: Around(
        latitude=min(90.0, max(-90.0, centre[0] + north)),
        longitude=(centre[1] + east + 180) % 360 - 180,
        within_m=within_m,
    ),
    st.sampled_from(CENTRES),
    st.floats(-3, 3),
    st.floats(-3, 3),
    st.sampled_from([1.0, 5_000.0, 22_000.0, 60_000.0, 500_000.0, 9e6, 2.01e7]),
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(around=_near_a_centre)
def test_no_record_is_lost_by_narrowing(around: Around, world: World) -> None:
    """A record left unread would be missing from a page, or from the count of unjudged ones."""
    near = world.found.of(around)
    assert (_rows(near.certain), _rows(near.perhaps)) == _true(world.images, around)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(around=Around(latitude=0.0, longitude=0.0, within_m=1.0), ends=(624, 692))
@given(around=_near_a_centre, ends=st.tuples(st.integers(0, 700), st.integers(0, 700)))
def test_rows_that_are_asked_for_are_judged_alike(
    around: Around, ends: tuple[int, int], world: World
) -> None:
    """Frogs are read alone: none of them may be judged otherwise for that."""
    first, last = sorted(ends)
    near = world.found.of(around, [(first, last), (690, 695)])
    asked = {*range(first, last + 1), *range(690, 696)}
    for found, true in zip(
        (_rows(near.certain), _rows(near.perhaps)), _true(world.images, around), strict=True
    ):
        assert [row for row in found if row in asked] == [row for row in true if row in asked]


def test_the_oracle_sees_rows_pass(opened: World) -> None:
    """If no record ever passed, agreement would prove nothing."""
    for latitude, longitude in CENTRES:
        around = Around(latitude=latitude, longitude=longitude, within_m=60_000.0)
        passing, possible = _true(opened.images, around)
        assert 10 < len(passing) < len(possible) < sum(SIZES)


def test_no_range_is_no_reading(opened: World) -> None:
    """A taxon without a photo has no rows: nothing passes, and nothing fails."""
    near = opened.found.of(Around(latitude=0.0, longitude=0.0, within_m=1e6), [])
    assert len(near.certain) == len(SIZES)
