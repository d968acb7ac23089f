"""The ground of the page's map: what is land on it is land."""

from __future__ import annotations

import msgspec
import pytest
import shapely

from atlas.errors import NotFound
from atlas.geo.basemap import basemap
from atlas.geo.land import lands


def test_land_on_the_map_is_land() -> None:
    """Shapes that were rounded or joined wrongly would flood a country or dry a sea."""
    features = msgspec.json.decode(basemap("coarse"))["features"]
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features[:2]]
    land, lakes = (shape.buffer(0) for shape in shapes)
    places = {"Brasilia": (-15.8, -47.9), "Nairobi": (-1.3, 36.8), "mid-Atlantic": (30, -40)}
    for name, (latitude, longitude) in places.items():
        assert land.contains(shapely.Point(longitude, latitude)) == bool(
            lands([latitude], [longitude])[0]
        ), name
    assert lakes.contains(shapely.Point(33, -1))  # Lake Victoria


def test_finer_shows_more() -> None:
    """The fine ground must not be the coarse one again, nor the coarse one as heavy."""
    assert len(basemap("fine")) > 3 * len(basemap("coarse"))


def test_other_details_are_refused() -> None:
    """A typing error must be said, not answered with some map."""
    with pytest.raises(NotFound):
        basemap("finest")
