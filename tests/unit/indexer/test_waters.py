"""Which waters are rivers: those that the file of rivers draws along their banks."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from atlas.geo.land import FINEST_DETAIL, LAKE, lines
from indexer.layers import named_rivers
from indexer.layers.distances import RunningNearest, Spots
from indexer.layers.packaged import packaged
from indexer.layers.waters import areas_within, waters

SANTAREM, PUNO = (-2.42, -54.71), (-15.85, -69.95)


def nearest_m(feature: str, latitude: float, longitude: float) -> float:
    """Metres from a place to the nearest feature of a packaged layer."""
    nearest = RunningNearest(Spots(np.array([latitude]), np.array([longitude])))
    for batch in packaged(feature).features():
        nearest.offer(batch, np.zeros(len(batch.geometry), np.int32))
    return float(nearest.distance_m()[0])


def test_the_area_of_an_outline_is_the_one_it_goes_around() -> None:
    """The islands, and lakes beside a river, must not become rivers in its place."""
    river = shapely.box(0, 0, 10, 1)
    with_islands = shapely.Polygon(river.exterior, [shapely.box(1, 0.1, 9, 0.9).exterior])
    beside, around = shapely.box(0, 1, 10, 2), shapely.box(-5, -5, 15, 5)
    areas = np.array([beside, around, with_islands, shapely.box(1, 0.1, 2, 0.9)], dtype=object)
    outlines = np.array(
        [shapely.box(0.1, 0.0, 10, 1), shapely.box(40, 40, 41, 41), shapely.box(-1, 0, 3, 3)],
        dtype=object,
    )
    assert areas_within(outlines, areas).tolist() == [2, -1, -1]


def test_every_outline_of_the_package_has_its_own_area() -> None:
    """A river that lost its area would be a lake; two outlines of one area hide another's loss."""
    closed = [
        points
        for _, points in lines("rivers", FINEST_DETAIL)
        if len(points) > 3 and np.array_equal(points[0], points[-1])
    ]
    found = waters()
    assert len(closed) == len(found.rivers) == 55
    drawn = sum(len(points) > 1 for _, points in lines("rivers", FINEST_DETAIL))
    assert len(found.lines) == drawn - len(closed)
    areas = sum(kind == LAKE for kind, _ in lines("gshhs", FINEST_DETAIL))
    assert len(found.rivers) + len(found.lakes) == areas


@pytest.mark.parametrize("with_names", [True, False])
def test_a_bank_of_the_amazon_is_by_a_river_and_a_lake_stays_one(
    monkeypatch: pytest.MonkeyPatch, with_names: bool
) -> None:
    """Frogs of the Amazon's banks were near lakes; those of Titicaca are."""
    if not with_names:
        monkeypatch.setattr(named_rivers, "PACKAGE", "no-such-package")
    assert nearest_m("river", *SANTAREM) < 1_000
    assert nearest_m("lake", *SANTAREM) > 5_000
    assert nearest_m("lake", *PUNO) == 0
    assert nearest_m("river", *PUNO) > 5_000


def test_islands_in_a_river_are_land() -> None:
    """A record on an island as large as a county is not in the water."""
    islands = [hole for river in waters().rivers for hole in river.interiors]
    largest = max(map(shapely.Polygon, islands), key=shapely.area)
    inside = shapely.point_on_surface(largest)
    assert nearest_m("river", inside.y, inside.x) > 100


def test_layers_that_were_made_before_are_made_anew() -> None:
    """New rows would be near rivers as areas, and old ones as lines, in one layer."""
    assert all("reading 2" in packaged(feature).fingerprint() for feature in ("river", "lake"))
    assert "reading" not in packaged("coast").fingerprint()
