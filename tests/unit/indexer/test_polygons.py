"""Areas that hold places: across the antimeridian, around poles, with holes, and their edges."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely

from indexer.layers.distances import RunningNearest, Spots
from indexer.layers.features import Features, lines_of
from indexer.layers.polygons import holders


def held(area: shapely.Geometry, latitude: float, longitude: float) -> bool:
    """Whether an area holds a place."""
    place, _ = holders(np.array([area]), np.array([latitude]), np.array([longitude]))
    return len(place) == 1


FIJI = shapely.Polygon([(177, -20), (-178, -20), (-178, -15), (177, -15)])
ANTARCTIC = shapely.Polygon([(lon, -70) for lon in (-180, -120, -60, 0, 60, 120)])
CUT = shapely.MultiPolygon([shapely.box(170, 60, 180, 70), shapely.box(-180, 60, -170, 70)])
EAST_OF_180 = shapely.box(170, 0, 190, 10)
HOLED = shapely.Polygon(
    [(170, 10), (-170, 10), (-170, 30), (170, 30)], [[(175, 15), (-175, 15), (-175, 25), (175, 25)]]
)


@pytest.mark.parametrize(
    ("area", "latitude", "longitude", "inside"),
    [
        (FIJI, -17, 179, True),
        (FIJI, -17, -179, True),
        (FIJI, -17, 0, False),
        (FIJI, -17, -180, True),
        (ANTARCTIC, -90, 0, True),
        (ANTARCTIC, -85, 170, True),
        (ANTARCTIC, -60, 170, False),
        (CUT, 65, 179, True),
        (CUT, 65, -171, True),
        (CUT, 65, 180, True),
        (CUT, 65, 0, False),
        (EAST_OF_180, 5, -175, True),
        (EAST_OF_180, 5, 175, True),
        (EAST_OF_180, 5, 165, False),
        (HOLED, 20, 180, False),
        (HOLED, 12, -179, True),
        (HOLED, 20, 172, True),
    ],
)
def test_areas_of_every_kind(
    area: shapely.Geometry, latitude: float, longitude: float, inside: bool
) -> None:
    """An area taken for its complement would put most of the earth into Fiji."""
    assert held(area, latitude, longitude) == inside


def test_the_edge_along_which_an_area_is_cut_is_no_coast() -> None:
    """Chukotka has no coast at the antimeridian, and Antarctica none at the pole."""
    lines = lines_of(np.array([CUT, shapely.Point(180, 5), shapely.LineString([(1, 1), (2, 2)])]))
    drawn: dict[int, list[float]] = {}
    for longitude, line in zip(lines.longitude, lines.line, strict=True):
        drawn.setdefault(int(line), []).append(float(longitude))
    for number, longitudes in drawn.items():
        assert not any(abs(a) == abs(b) == 180 for a, b in pairwise(longitudes)), number
    assert [180.0] in drawn.values()  # a point at the antimeridian stays one
    assert sorted(set(lines.owner[list(drawn)].tolist())) == [0, 1, 2]


def test_a_place_inside_a_lake_is_at_the_lake() -> None:
    """The distance to an area is none inside it, and that to its edge outside."""
    lake = shapely.Polygon(
        [(0, 0), (1, 0), (1, 1), (0, 1)], [[(0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6)]]
    )
    nearest = RunningNearest(Spots(np.array([0.2, 0.5, 0.5]), np.array([0.2, 0.5, 1.5])))
    features = Features(np.array([lake, None]), np.array([5.0, 1.0]), ["Lake", ""], ["", ""], 0)
    nearest.offer(features, np.array([1, 0], np.int32))
    inside, island, outside = nearest.distance_m()
    assert inside == 0
    assert island == pytest.approx(11_100, rel=0.02)
    assert outside == pytest.approx(55_660, rel=0.01)
    assert nearest.name.tolist() == [1, 1, 1]
    assert nearest.order.tolist() == [5, 5, 5]
