"""Vector tiles, decoded again: what is drawn is where the cells are, whole and once."""

from __future__ import annotations

from typing import Any

import h3.api.basic_int as h3
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import shape as shapely_shape

from atlas.errors import InvalidQuery
from atlas.geo.cells import boundary, cover, format_cell
from atlas.geo.shapes import BoundingBox
from atlas.geo.tiles import (
    BUFFER,
    EXTENT,
    MERCATOR_LIMIT_DEG,
    Tile,
    encode_cells,
    resolution_for_zoom,
)

WINDOW = shapely.box(-BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)


def decoded(data: bytes, layer: str = "cells") -> dict[str, dict[str, Any]]:
    """Return the tile's features by cell, y pointing down as in the tile."""
    tile = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True})
    assert list(tile) == [layer]
    assert tile[layer]["extent"] == EXTENT
    features = {f["properties"]["cell"]: f for f in tile[layer]["features"]}
    assert len(features) == len(tile[layer]["features"])
    return features


def tile_units(tile: Tile, lonlat: np.ndarray) -> np.ndarray:
    """Project points by the formula of the slippy map, written anew."""
    side = 2**tile.z
    lat = np.radians(np.clip(lonlat[:, 1], -89.9, 89.9))
    x = (lonlat[:, 0] / 360 + 0.5) * side - tile.x
    y = (1 - np.log(np.tan(lat) + 1 / np.cos(lat)) / np.pi) / 2 * side - tile.y
    return np.stack([x, y], axis=1) * EXTENT


def expected(tile: Tile, cell: int) -> shapely.Geometry:
    """Return a cell in tile units by projecting `boundary` and its copies east and west."""
    pieces = [shapely.Polygon(ring) for ring in boundary(cell)]
    copies = [
        shapely.transform(piece, lambda xy, turn=turn: np.add(xy, [turn, 0.0]))
        for piece in pieces
        for turn in (-360.0, 0.0, 360.0)
    ]
    projected = [shapely.transform(p, lambda xy: tile_units(tile, xy)) for p in copies]
    return shapely.union_all([shapely.intersection(p, WINDOW) for p in projected], grid_size=1e-6)


def cells_around(tile: Tile, resolution: int) -> np.ndarray:
    """Return the cells of a tile and of its surroundings."""
    box = tile.bounds()
    grow = (box.north - box.south) * 0.3
    wide = BoundingBox(
        box.west - min(grow, 20.0),
        max(-90.0, box.south - grow),
        box.east + min(grow, 20.0),
        min(90.0, box.north + grow),
    )
    return cover(wide, resolution)


@pytest.mark.parametrize(
    ("z", "x", "y"),
    [
        (0, 0, 0),
        (1, 0, 0),
        (1, 1, 1),
        (2, 0, 1),
        (2, 3, 2),
        (3, 7, 0),
        (3, 0, 7),
        (4, 0, 0),
        (4, 15, 15),
        (5, 16, 10),
        (7, 127, 40),
        (8, 0, 128),
        (11, 1103, 701),
        (13, 8191, 4000),
    ],
)
def test_tile_shows_each_cell_where_it_is(z: int, x: int, y: int) -> None:
    """Fails if a cell is torn, shifted or missing: middle, poles, and both sides of 180 degrees."""
    tile = Tile(z, x, y)
    cells = cells_around(tile, resolution_for_zoom(z))
    features = decoded(encode_cells(tile, "cells", cells, {}))
    for cell in cells.tolist():
        wanted = expected(tile, cell)
        feature = features.pop(format_cell(cell), None)
        if feature is None:
            assert wanted.area < 400.0, "only a sliver in the buffer may be left out"
            continue
        drawn = shapely_shape(feature["geometry"])
        assert drawn.is_valid
        # Half a unit of rounding along the outline; at 85 degrees the chord that `boundary` cuts
        # in degrees and the one the tile cuts in Mercator are another unit apart.
        assert drawn.symmetric_difference(wanted).area <= 1.5 * wanted.length + 4.0
    assert not features


@pytest.mark.parametrize("z", [0, 1, 2])
def test_cells_fill_the_tile_without_overlap(z: int) -> None:
    """Fails if polar or crossing cells leave holes or are drawn over others."""
    world = cover(BoundingBox(-180.0, -90.0, 180.0, 90.0), z)
    for x, y in {(0, 0), (2**z - 1, 2**z - 1)}:
        drawn = [
            shapely_shape(f["geometry"])
            for f in decoded(encode_cells(Tile(z, x, y), "cells", world, {})).values()
        ]
        assert sum(d.area for d in drawn) == pytest.approx(WINDOW.area, rel=1e-3)
        assert shapely.union_all(drawn).area == pytest.approx(WINDOW.area, rel=1e-3)


@given(st.integers(0, 13), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
@settings(max_examples=15, deadline=None)
def test_rings_wind_as_the_format_asks(z: int, x: float, y: float) -> None:
    """Fails if an exterior ring winds the wrong way: renderers then draw it as a hole."""
    tile = Tile(z, int(x * 2**z), int(y * 2**z))
    cells = cover(tile.bounds(), resolution_for_zoom(z))
    message = mapbox_vector_tile.encoder.vector_tile.tile()
    message.ParseFromString(encode_cells(tile, "cells", cells, {}))
    assert len(message.layers[0].features) > 0
    for feature in message.layers[0].features:
        for ring in walked(list(feature.geometry)):
            next_ring = np.roll(ring, -1, axis=0)
            assert (ring[:, 0] * next_ring[:, 1] - next_ring[:, 0] * ring[:, 1]).sum() > 0
            assert len(ring) >= 3
            assert (ring != next_ring).any(axis=1).all()
            assert ring.min() >= -BUFFER
            assert ring.max() <= EXTENT + BUFFER


def walked(commands: list[int]) -> list[np.ndarray]:
    """Follow the pen through drawing commands, as section 4.3 of the format describes them."""
    rings: list[list[tuple[int, int]]] = []
    x = y = at = 0
    while at < len(commands):
        command, count = commands[at] & 7, commands[at] >> 3
        at += 1
        if command == 7:
            continue
        for _ in range(count):
            dx, dy = ((v >> 1) ^ -(v & 1) for v in commands[at : at + 2])
            x, y, at = x + dx, y + dy, at + 2
            if command == 1:
                rings.append([])
            rings[-1].append((x, y))
    return [np.array(ring) for ring in rings]


def test_nothing_to_show_is_an_empty_answer() -> None:
    """Fails if an empty tile is a tile with an empty layer: the API answers 204 for b""."""
    tile = Tile(6, 32, 20)
    assert encode_cells(tile, "cells", np.array([], dtype=np.uint64), {"n": np.array([])}) == b""
    far = np.array([h3.latlng_to_cell(-30, 100, 4)], dtype=np.uint64)
    assert encode_cells(tile, "cells", far, {"n": np.array([1])}) == b""
    pole = np.array([h3.latlng_to_cell(90, 0, 5)], dtype=np.uint64)
    assert encode_cells(Tile(3, 0, 0), "cells", pole, {}) == b""


def test_properties_of_every_kind() -> None:
    """Fails if a value changes on its way, or an unknown value is drawn as a number."""
    tile = Tile(0, 0, 0)
    cells = np.array([h3.latlng_to_cell(lat, 0, 2) for lat in (0, 20, 40)], dtype=np.uint64)
    columns: dict[str, Any] = {
        "n": np.array([5, -3, 5]),
        "share": np.array([0.1, np.nan, 1e300]),
        "small": np.array([0.5, 0.25, np.nan], dtype=np.float32),
        "held": np.array([True, False, True]),
        "big": np.array([2**63, 1, 2], dtype=np.uint64),
        "name": np.array(["ä", "", "ä"]),
        "kind": np.array(["a", None, "b"], dtype=object),
    }
    features = decoded(encode_cells(tile, "cells", cells, columns))
    for i, cell in enumerate(cells.tolist()):
        wanted = {name: values[i] for name, values in columns.items()}
        wanted = {k: v for k, v in wanted.items() if str(v) not in {"None", "nan"}}
        found = features[format_cell(cell)]["properties"]
        assert found == {**wanted, "cell": format_cell(cell)}
        assert isinstance(found["held"], bool)


def test_properties_that_do_not_fit_are_refused() -> None:
    """Fails if values could slide onto other cells."""
    cells = np.array([h3.latlng_to_cell(0, 0, 2)], dtype=np.uint64)
    with pytest.raises(ValueError, match="shape"):
        encode_cells(Tile(0, 0, 0), "cells", cells, {"n": np.array([1, 2])})
    with pytest.raises(ValueError, match="cannot hold"):
        encode_cells(
            Tile(0, 0, 0), "cells", cells, {"n": np.array(["2020-01-01"], "datetime64[D]")}
        )
    with pytest.raises(ValueError, match="cell"):
        encode_cells(Tile(0, 0, 0), "cells", np.array([0], dtype=np.uint64), {})


def test_cell_smaller_than_a_unit_is_still_drawn() -> None:
    """Fails if fine cells vanish from a map of the world without a word."""
    cells = np.array([h3.latlng_to_cell(10, 10, 9), h3.latlng_to_cell(0, 0, 9)], dtype=np.uint64)
    features = decoded(encode_cells(Tile(0, 0, 0), "cells", cells, {}))
    assert [shapely_shape(f["geometry"]).area for f in features.values()] == [1.0, 1.0]


def test_same_cells_give_the_same_bytes() -> None:
    """Fails if a tile's ETag changes while the data do not."""
    cells = cover(BoundingBox(5.0, 45.0, 8.0, 47.0), 4)
    columns = {"n": np.arange(len(cells)), "v": np.linspace(0, 1, len(cells))}
    tile = Tile(5, 16, 11)
    assert encode_cells(tile, "cells", cells, columns) == encode_cells(
        tile, "cells", cells, columns
    )


@pytest.mark.parametrize(
    ("z", "x", "y", "field"),
    [
        (-1, 0, 0, "z"),
        (14, 0, 0, "z"),
        (3, 8, 0, "x"),
        (3, -1, 0, "x"),
        (3, 0, 8, "y"),
        (0, 0, 1, "y"),
    ],
)
def test_tiles_off_the_pyramid_are_refused(z: int, x: int, y: int, field: str) -> None:
    """Fails if a tile that does not exist is answered as an empty one."""
    with pytest.raises(InvalidQuery) as error:
        Tile(z, x, y)
    assert error.value.field == field


def test_zooms_have_the_resolutions_of_the_design() -> None:
    """Fails if a zoom draws other cells than the catalog was laid out for."""
    found = [resolution_for_zoom(z) for z in range(14)]
    assert found == [0, 1, 2, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 9]
    with pytest.raises(InvalidQuery):
        resolution_for_zoom(14)


@given(st.integers(0, 13), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_bounds_are_the_tile(z: int, x: float, y: float) -> None:
    """Fails if a tile's box is shifted by one, or turns the world upside down."""
    tile = Tile(z, int(x * 2**z), int(y * 2**z))
    box = tile.bounds()
    corners = np.array([[box.west, box.north], [box.east, box.south]])
    assert tile_units(tile, corners).ravel() == pytest.approx([0, 0, EXTENT, EXTENT], abs=1e-4)
    assert abs(box.north) <= MERCATOR_LIMIT_DEG + 1e-9


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**62), 2**62),
            st.one_of(st.none(), st.text(max_size=200)),
            st.floats(allow_nan=True, allow_infinity=False, width=32),
            st.booleans(),
        ),
        min_size=1,
        max_size=7,
    )
)
def test_any_value_survives_the_wire(rows: list[tuple[int, str | None, float, bool]]) -> None:
    """Fails where a length or a number is written with a byte too few, or a value slides on."""
    cells = np.array(h3.grid_disk(h3.latlng_to_cell(10.0, 10.0, 3), 1)[: len(rows)], np.uint64)
    numbers, texts, floats, flags = (list(column) for column in zip(*rows, strict=True))
    properties = {
        "number": np.array(numbers, np.int64),
        "text": np.array(texts, object),
        "single": np.array(floats, np.float32),
        "double": np.array(floats, np.float64),
        "unsigned": np.abs(np.array(numbers, np.int64)).astype(np.uint64),
        "flag": np.array(flags),
    }
    features = decoded(encode_cells(Tile(0, 0, 0), "cells", cells, properties))
    assert len(features) == len(rows)
    for cell, (number, text, value, flag) in zip(cells.tolist(), rows, strict=True):
        found = features[f"{cell:x}"]["properties"]
        assert found.pop("cell") == f"{cell:x}"
        assert found.pop("number") == number
        assert found.pop("unsigned") == abs(number)
        assert found.pop("flag") is flag
        assert found.pop("text", None) == text
        known = None if np.isnan(value) else value
        assert found.pop("single", None) == known
        assert found.pop("double", None) == known
        assert not found
