"""Cells of a box, and the ranges of a tile, against brute force."""

from __future__ import annotations

import itertools

import h3.api.basic_int as h3
import numpy as np
import pytest
import shapely

from atlas.geo import cells as geo_cells
from atlas.geo.outlines import outlines, world_polygons
from atlas.geo.ranges import overlaps, shape_ranges, tile_ranges
from atlas.geo.shapes import BoundingBox
from atlas.geo.tiles import Tile


@pytest.mark.parametrize("resolution", [0, 2, 4, 7])
@pytest.mark.parametrize(
    "box",
    [
        BoundingBox(-10, 35, 30, 60),
        BoundingBox(170, -30, -170, 10),
        BoundingBox(-180, 70, 180, 90),
        BoundingBox(7.0, 46.0, 7.2, 46.1),
    ],
)
def test_overlaps_is_what_the_outlines_say(box: BoundingBox, resolution: int) -> None:
    """The sieve must not lose a cell at the edge of the box, nor keep one outside."""
    rng = np.random.default_rng(11)
    latitude = np.degrees(np.arcsin(rng.uniform(-1, 1, 400)))
    longitude = rng.uniform(-180, 180, 400)
    near = rng.uniform(-0.3, 0.3, (200, 2)) + np.array([box.north, box.west])
    latitude = np.concatenate([latitude, np.clip(near[:, 0], -90, 90)])
    longitude = np.concatenate([longitude, (near[:, 1] + 180) % 360 - 180])
    cells = np.unique(geo_cells.cells_of(latitude, longitude, resolution))
    pieces, owner = world_polygons(outlines(cells))
    expected = np.zeros(len(cells), bool)
    expected[owner[shapely.intersects(pieces, box.geometry)]] = True
    np.testing.assert_array_equal(overlaps(cells, box), expected)


def test_overlaps_of_nothing() -> None:
    """A taxon without cells is no error."""
    assert overlaps(np.zeros(0, np.uint64), BoundingBox(0, 0, 1, 1)).tolist() == []


@pytest.mark.parametrize(
    "tile",
    [
        Tile(0, 0, 0),
        Tile(3, 0, 2),
        Tile(3, 7, 5),
        Tile(6, 33, 21),
        Tile(9, 511, 200),
        Tile(13, 10, 2000),
    ],
)
@pytest.mark.parametrize("finer", [0, 1])
def test_ranges_hold_every_cell_of_the_tile(tile: Tile, finer: int) -> None:
    """A cell that touches the tile and lies in no range would be a hole in the map."""
    resolution = min((0, 1, 2, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 9)[tile.z], 7) + finer
    if tile.z == 0 and finer:
        resolution = 1
    ranges = tile_ranges(tile, resolution)
    touching = geo_cells.cover(tile.bounds(), resolution)
    for cell in touching.tolist():
        assert any(low <= cell <= high for low, high in ranges)
    assert all(low <= high for low, high in ranges)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ranges))


def test_ranges_read_only_the_tile() -> None:
    """A tile of a street must not read a continent."""
    ranges = tile_ranges(Tile(10, 530, 360), 7)
    far = h3.latlng_to_cell(-33.9, 18.4, 7)
    assert not any(low <= far <= high for low, high in ranges)
    span = sum(
        1
        for cell in geo_cells.cover(BoundingBox(0, 40, 15, 55), 7).tolist()
        if any(low <= cell <= high for low, high in ranges)
    )
    assert span < 1_000


@pytest.mark.parametrize("resolution", [1, 4, 6])
@pytest.mark.parametrize("rings", [0, 3])
def test_shape_ranges_hold_the_rings_around(resolution: int, rings: int) -> None:
    """A smoothed value at the edge of a box needs the cells that lie beyond it."""
    box = BoundingBox(178.0, -19.0, -178.0, -15.0)
    ranges = shape_ranges(box, resolution, rings=rings)
    for cell in geo_cells.cover(box, resolution).tolist():
        for neighbour in h3.grid_disk(cell, rings):
            assert any(low <= neighbour <= high for low, high in ranges)
    assert len(ranges) < 500
