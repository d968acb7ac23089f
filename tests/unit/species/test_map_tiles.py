"""Tiles of the layers, decoded: every record lies in the cell that is drawn for it."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atlas.geo.cells import RADIUS_M, boundary, resolution_of
from atlas.geo.tiles import EXTENT, Tile, resolution_for_zoom
from atlas.species.gaps import STATES
from atlas.species.layers import LAYERS, LayerName
from tests.unit.species.map_world import ANIMALS, COMMON_FROG, MOOR_FROG, RANA, mapped, sighting


def features(data: bytes) -> list[dict[str, Any]]:
    """Features of the one layer of a tile, y pointing down."""
    if not data:
        return []
    (layer,) = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True}).values()
    found: list[dict[str, Any]] = layer["features"]
    return found


def on_tile(zoom: int, latitude: float, longitude: float) -> tuple[Tile, shapely.Point]:
    """The tile that a point is on, and the point in its units."""
    side = 1 << zoom
    x = (longitude + 180) / 360 * side
    y = (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2 * side
    column, row = min(int(x), side - 1), min(int(y), side - 1)
    return Tile(zoom, column, row), shapely.Point((x - column) * EXTENT, (y - row) * EXTENT)


@settings(max_examples=60)
@given(
    latitude=st.floats(-85, 85),
    longitude=st.one_of(st.floats(-180, 180), st.floats(179.5, 180), st.floats(-180, -179.5)),
    zoom=st.integers(0, 13),
    uncertainty_m=st.sampled_from([None, 10.0, 5_000.0, 60_000.0, 900_000.0]),
)
@example(latitude=-16.8, longitude=180.0, zoom=4, uncertainty_m=None)
@example(latitude=-16.8, longitude=-180.0, zoom=9, uncertainty_m=10.0)
@example(latitude=84.9, longitude=30.0, zoom=2, uncertainty_m=10.0)
@example(latitude=-85.0, longitude=-90.0, zoom=0, uncertainty_m=60_000.0)
@example(latitude=0.0, longitude=-30.75, zoom=7, uncertainty_m=900_000.0)
def test_a_record_lies_in_the_cell_that_is_drawn_for_it(
    latitude: float, longitude: float, zoom: int, uncertainty_m: float | None
) -> None:
    """Fails where a cell is cut wrongly at the antimeridian or a pole, lost, or drawn too fine."""
    record = sighting(MOOR_FROG, latitude, longitude, uncertainty_m=uncertainty_m)
    tile, point = on_tile(zoom, latitude, longitude)
    assert record.cell is not None
    stored = int(resolution_of([record.cell])[0])
    with TemporaryDirectory() as folder, mapped(Path(folder) / "c.duckdb", [record]) as maps:
        found = features(maps.tiles.encode("occurrence", tile, MOOR_FROG))
    asked = min(resolution_for_zoom(zoom), 7)
    if not found:
        # A coarse cell may end short of the place of its record by more than a small tile.
        assert stored < asked
        assert not _touches(tile, record.cell)
        return
    (feature,) = found
    values = feature["properties"]
    drawn = int(resolution_of([int(values["cell"], 16)])[0])
    assert drawn == min(asked, stored)
    assert values["coarse"] == (stored < asked)
    # Rounding to units may leave a point on the edge one unit outside. A cell's children reach a
    # little out of it, and a record goes where its finest cell goes.
    reach_deg = 0.0 if drawn == 7 else 0.2 * RADIUS_M[drawn] / 111_000.0
    reach = reach_deg / math.cos(math.radians(latitude)) * EXTENT * 2**zoom / 360.0
    assert shapely.geometry.shape(feature["geometry"]).distance(point) <= 1.5 + reach


def _touches(tile: Tile, cell: int) -> bool:
    """Whether a cell's outline, from H3 itself, comes into a tile's bounds."""
    bounds = tile.bounds()
    square = shapely.box(bounds.west, bounds.south, bounds.east, bounds.north)
    return any(shapely.Polygon(ring).intersects(square) for ring in boundary(cell))


def test_effort_is_read_around_the_same_tile(tmp_path: Path) -> None:
    """Each layer counts the group that it says; a frog's effort is that of all animals."""
    records = [
        sighting(MOOR_FROG, 52.0, 5.0, observer="A"),
        sighting(COMMON_FROG, 52.0, 5.0, observer="B"),
        sighting(COMMON_FROG, 52.0, 5.0, observer="C"),
        sighting(8, 52.0, 5.0, observer="D"),
    ]
    tile, _ = on_tile(5, 52.0, 5.0)
    with mapped(tmp_path / "c.duckdb", records) as maps:
        drawn = {
            layer: [f["properties"] for f in features(maps.tiles.encode(layer, tile, MOOR_FROG))]
            for layer in LAYERS
        }
    (occurrence,) = drawn["occurrence"]
    assert (occurrence["n"], occurrence["effort"], occurrence["effort_visits"]) == (1, 3, 3)
    assert occurrence["rate"] == pytest.approx(1 / 3)
    assert drawn["richness"][0]["species"] == 1
    assert (drawn["effort"][0]["n"], drawn["effort"][0]["visits"]) == (3, 3)
    assert drawn["completeness"][0]["species"] == 2
    (searched,) = (values for values in drawn["gaps"] if values["state"] != "no_data")
    assert (searched["visits"], searched["species"]) == (3, 2)


def test_gaps_show_where_nobody_looked(tmp_path: Path) -> None:
    """Land without a record is drawn for a group that lives on land; the sea is not."""
    records = [sighting(MOOR_FROG, 50.0 + i / 10, 10.0, observer=str(i)) for i in range(9)]
    with mapped(tmp_path / "c.duckdb", records) as maps:
        world = features(maps.tiles.encode("gaps", Tile(0, 0, 0), RANA))
        pacific = maps.tiles.encode("gaps", Tile(5, 2, 12), RANA)
    states = [feature["properties"]["state"] for feature in world]
    assert set(states) <= set(STATES)
    assert 40 < states.count("no_data") < 100
    assert len(states) - states.count("no_data") == 1
    assert pacific == b""


def test_undated_records_have_no_rate(tmp_path: Path) -> None:
    """Without a dated visit nobody knows how often was looked: no rate, and no year."""
    tile, _ = on_tile(6, 10.0, 10.0)
    with mapped(tmp_path / "c.duckdb", [sighting(MOOR_FROG, 10.0, 10.0, day=None)]) as maps:
        (own,) = features(maps.tiles.encode("occurrence", tile, MOOR_FROG))
        (effort,) = features(maps.tiles.encode("effort", tile, ANIMALS))
    assert own["properties"]["n"] == 1
    assert "rate" not in own["properties"]
    assert own["properties"]["confidence"] == 0.0
    assert "last_year" not in effort["properties"]


@pytest.mark.parametrize("layer", list(LAYERS))
def test_empty_tile_of_every_layer(tmp_path: Path, layer: LayerName) -> None:
    """A tile of the open ocean holds nothing, whatever the layer, and is no error."""
    with mapped(tmp_path / "c.duckdb", [sighting(MOOR_FROG, 50.0, 10.0)]) as maps:
        assert maps.tiles.encode(layer, Tile(6, 4, 25), MOOR_FROG) == b""


def test_areas_differ_within_a_resolution(tmp_path: Path) -> None:
    """The same count in a larger cell is a lower density."""
    records = [sighting(MOOR_FROG, 0.0, longitude) for longitude in np.arange(-175.0, 180.0, 10.0)]
    with mapped(tmp_path / "c.duckdb", records) as maps:
        found = [
            feature["properties"]
            for feature in features(maps.tiles.encode("effort", Tile(0, 0, 0), MOOR_FROG))
        ]
    per_record = {round(values["per_1000_km2"] / values["n"], 8) for values in found}
    assert len(per_record) > 3
    assert max(per_record) > 1.5 * min(per_record)
