"""Likeness of surroundings from layers, against means and shares taken cell by cell."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.bundle.manifest import LayerEntry
from atlas.geo.layers import Layer, Layers
from atlas.species.gaps import GapSettings
from atlas.species.neighbours import around
from atlas.species.surroundings import Surroundings
from tests.unit.species.gap_world import AMPHIBIA, HYLA, RANA, World, european_records

CENTRE = h3.latlng_to_cell(50.0, 12.0, 4)
CELLS = around(CENTRE, 2)[0]
Values = dict[int, float | None]


def layer(
    root: Path,
    name: str,
    kind: Literal["distance", "category", "value"],
    values: Values,
    feature: str = "elevation",
) -> Layer:
    """A layer whose table has these values, as the indexer writes it."""
    folder = root / "layers" / name
    folder.mkdir(parents=True)
    cells = sorted(values)
    column = "distance_m" if kind == "distance" else "value"
    number = pa.int32() if kind == "category" else pa.float32()
    table = {
        "cell": pa.array(cells, pa.uint64()),
        "resolution": pa.array([h3.get_resolution(cell) for cell in cells], pa.int8()),
        column: pa.array([values[cell] for cell in cells], number),
    }
    pq.write_table(pa.table(table), folder / "cells.parquet")
    entry = LayerEntry(
        name=name,
        kind=kind,
        feature=feature,
        folder=name,
        cells="cells.parquet",
        segments=(),
        rule="",
        title=name,
        origin="",
        fingerprint="",
        made_at="",
    )
    return Layer(root, entry, ())


def fine_values(seed: int, most: float = 2_000.0) -> Values:
    """Values of a few cells of resolution 6 in each of the cells, and of those that hold them."""
    random = np.random.default_rng(seed)
    found: Values = {}
    for cell in CELLS.tolist():
        for child in h3.cell_to_children(cell, 6)[:: int(random.integers(5, 20))]:
            found[child] = float(np.float32(random.uniform(0.0, most)))
        found[cell] = -1.0  # the value of its centre, which must not count beside the fine ones
    return found


def mean_of(values: Values, cell: int) -> float:
    """The mean of the values at resolution 6 in a cell."""
    inside = [values[child] for child in h3.cell_to_children(cell, 6) if child in values]
    return float(np.mean([value for value in inside if value is not None]))


def likeness(layers: list[Layer]) -> npt.NDArray[np.float64]:
    """Likeness of the cells, which must be known."""
    found = Surroundings(Layers(layers)).likeness(CELLS)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["value", "distance"])
def test_quantities(tmp_path: Path, kind: Literal["value", "distance"]) -> None:
    """The mean of what lies in each cell, in standard deviations of the neighbourhood."""
    values = fine_values(1)
    means = np.array([mean_of(values, cell) for cell in CELLS.tolist()])
    if kind == "distance":
        means = np.log1p(means / 1000.0)
    expected = np.exp(-0.5 * ((means - means[0]) / means.std()) ** 2)
    found = likeness([layer(tmp_path, "some", kind, values)])
    assert found == pytest.approx(expected)
    assert found[0] == 1.0


def test_categories(tmp_path: Path) -> None:
    """Alike as far as the same categories are in both."""
    values: Values = {
        cell: int(value or 0) for cell, value in fine_values(2, 3.0).items() if value != -1.0
    }
    shares = [
        np.bincount(
            [int(values[c] or 0) for c in h3.cell_to_children(cell, 6) if c in values], minlength=3
        )
        for cell in CELLS.tolist()
    ]
    parts = np.array([share / share.sum() for share in shares])
    overlap = np.minimum(parts, parts[0]).sum(axis=1)
    found = likeness([layer(tmp_path, "habitat", "category", values, "habitat")])
    assert found == pytest.approx(np.exp(-(1.0 - overlap)))


def test_layers_are_averaged_and_the_unknown_is_average(tmp_path: Path) -> None:
    """A cell of which one layer knows nothing is neither like nor unlike by that layer."""
    height, river = fine_values(3), fine_values(4)
    silent = CELLS[5]
    for child in h3.cell_to_children(int(silent), 6):
        if child in river:
            river[child] = None
    one = layer(tmp_path, "height", "value", height)
    other = layer(tmp_path, "river", "value", river, "river")
    logs = -2.0 * np.log(np.stack([likeness([one]), likeness([other])]))
    assert logs[1, 5] == pytest.approx(np.delete(logs[1], 5).mean())
    assert likeness([one, other]) == pytest.approx(np.exp(-0.5 * logs.mean(axis=0)))


def test_nothing_known(tmp_path: Path) -> None:
    """Without layers, with borders of countries only, or where the cell is unknown: no likeness."""
    countries = layer(tmp_path, "country", "category", fine_values(5, 3.0), "country")
    values = fine_values(6)
    for child in h3.cell_to_children(CENTRE, 6):
        values.pop(child, None)
    elsewhere = layer(tmp_path, "height", "value", values)
    for layers in ([], [countries], [elsewhere]):
        assert Surroundings(Layers(layers)).likeness(CELLS) is None


def test_expected_species_use_the_layers(tmp_path: Path) -> None:
    """Tree frogs live high, the cell is high: with heights they are more to be expected."""
    images = [
        image
        for image in european_records()
        if image.taxon_id in {RANA, HYLA}
        and image.cell is not None
        and not (image.taxon_id == HYLA and h3.cell_to_parent(image.cell, 4) == CENTRE)
    ]
    held = {h3.cell_to_parent(i.cell, 4) for i in images if i.taxon_id == HYLA and i.cell}
    # Heights of cells of resolution 7, the finest of this atlas.
    heights: Values = {
        image.cell: 2000.0 if h3.cell_to_parent(image.cell, 4) in held | {CENTRE} else 0.0
        for image in images
        if image.cell is not None
    }
    plain = World(tmp_path / "plain.duckdb", images, GapSettings())
    told = World(
        tmp_path / "told.duckdb",
        images,
        GapSettings(),
        Layers([layer(tmp_path, "height", "value", heights)]),
    )
    without, with_heights = (
        world.details.explain(CENTRE, AMPHIBIA).unrecorded for world in (plain, told)
    )
    assert "surroundings" in with_heights.why
    assert with_heights.species[0].frequency > without.species[0].frequency + 0.05
    for world in (plain, told):
        world.catalog.close()
