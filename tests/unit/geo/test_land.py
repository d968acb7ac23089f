"""Land and sea: known places, shapes beside pictures of them, shares of cells, shores."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from atlas.geo.cells import cells_of, parent
from atlas.geo.land import LAKE, LAND, coastline, land_at, land_share, lands, lines
from atlas.geo.shapes import BoundingBox

WORLD = BoundingBox(-180.0, -90.0, 180.0, 90.0)


@pytest.mark.parametrize(
    ("place", "latitude", "longitude", "dry"),
    [
        ("Paris", 48.85, 2.35, True),
        ("Gulf of Guinea", 0.0, 0.0, False),
        ("Lake Geneva", 46.43, 6.55, False),
        ("Isle Royale, an island in a lake", 48.0, -88.9, True),
        ("South Pole", -90.0, 0.0, True),
        ("North Pole", 90.0, 0.0, False),
        ("Chukotka, west of the antimeridian", 67.0, 179.9, True),
        ("Chukotka, east of the antimeridian", 67.0, -179.9, True),
        ("on the antimeridian", 67.0, 180.0, True),
        ("Tristan da Cunha, twelve kilometres wide", -37.11, -12.28, True),
        ("nowhere", np.nan, 10.0, False),
    ],
)
def test_known_places(place: str, latitude: float, longitude: float, dry: bool) -> None:
    """Land read from the wrong column, lakes without islands, or a lost island at the seam."""
    assert lands([latitude], [longitude]).tolist() == [dry], place


@given(
    st.lists(st.tuples(st.floats(-90.0, 90.0), st.floats(-180.0, 180.0)), min_size=1, max_size=50)
)
def test_picture_agrees_with_shapes(points: list[tuple[float, float]]) -> None:
    """The picture that answers most points must never say anything else than the shapes."""
    latitude, longitude = np.array(points).T
    land = land_at("l")
    assert np.array_equal(land.holds(latitude, longitude), land._polygons_hold(latitude, longitude))


def test_picture_agrees_with_shapes_beside_shores() -> None:
    """Points within a few kilometres of a shore are where a picture would go wrong."""
    random = np.random.default_rng(3)
    shore = np.concatenate([points for kind, points in lines("gshhs", "l") if kind in {LAND, LAKE}])
    chosen = shore[random.integers(0, len(shore), 20_000)] + random.normal(0.0, 0.08, (20_000, 2))
    longitude = np.clip(chosen[:, 0], -180.0, 180.0)
    latitude = np.clip(chosen[:, 1], -90.0, 90.0)
    land = land_at("l")
    assert np.array_equal(land.holds(latitude, longitude), land._polygons_hold(latitude, longitude))


def test_share_of_the_earth() -> None:
    """Three tenths of the earth is land (28.8 % at this detail): a bias of the samples would show.

    Cells differ in area by up to a factor of two, so shares are weighted.
    """
    cells = np.array(h3.uncompact_cells(h3.get_res0_cells(), 2), np.uint64)
    areas = np.array([h3.cell_area(cell) for cell in cells.tolist()])
    share = np.average(land_share(cells), weights=areas)
    assert share == pytest.approx(0.288, abs=0.003)


def test_shares_of_mixed_cells_keep_their_places() -> None:
    """Shares are found block by block; an order mixed up would give a cell another's share."""
    latitude, longitude = [48.85, 0.0, 64.0, 67.0], [2.35, 0.0, -22.5, 180.0]
    cells = cells_of(latitude, longitude, 5)
    cells[2] = parent(cells[2:3], 3)[0]
    found = land_share(np.append(cells, [0]))
    assert found[:2].tolist() == [1.0, 0.0]
    assert 0.1 < found[2] < 0.9
    assert found[3] == 1.0
    assert np.isnan(found[4])
    with pytest.raises(ValueError, match="too small"):
        land_share(cells_of([0.0], [0.0], 15))


def test_coastline_has_no_seams() -> None:
    """Chukotka is cut at 180 degrees and Antarctica at the pole: neither cut is a shore."""
    for piece in coastline(WORLD, "c"):
        assert piece.ndim == 2
        assert piece.shape[1] == 2
        on_seam = np.abs(piece[:, 0]) > 179.999
        assert not (on_seam[1:] & on_seam[:-1]).any()
        assert (piece[:, 1] > -89.9).all()


def test_coastline_is_that_of_the_box() -> None:
    """A map of Iceland needs Iceland's shore, and not that of the whole world."""
    iceland = BoundingBox(-25.0, 63.0, -13.0, 67.0)
    pieces = coastline(iceland, "l")
    touched = [shapely.LineString(piece).intersects(iceland.geometry) for piece in pieces]
    assert sum(len(piece) for piece in pieces) > 200
    assert all(touched)
    assert coastline(BoundingBox(-30.0, 0.0, -25.0, 5.0), "l") == []
