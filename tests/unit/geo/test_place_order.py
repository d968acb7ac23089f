"""Places in order: the runs of a box hold every place in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.errors import BundleError
from atlas.geo import place_order
from atlas.geo.circles import box_of_circle
from atlas.geo.place_order import FILES, PlaceOrder, order_of
from indexer.tables.segment_places import write_in_order

_EDGES = (-90.0, -89.95, -0.1, 0.0, 0.1, 51.5, 89.9, 89.99, 90.0)
_latitude = st.one_of(st.sampled_from(_EDGES), st.floats(-90, 90))
_longitude = st.one_of(st.sampled_from([-180.0, 180.0, 0.0, 179.999]), st.floats(-180, 180))
_place = st.one_of(st.tuples(_latitude, _longitude), st.just((np.nan, np.nan)))


def _order(places: list[tuple[float, float]]) -> PlaceOrder:
    latitude, longitude = np.array(places, np.float64).reshape(-1, 2).T.copy()
    return _of(latitude, longitude, np.arange(len(places), dtype=np.float32))


def _of(latitude: np.ndarray, longitude: np.ndarray, uncertainty_m: np.ndarray) -> PlaceOrder:
    row, starts = order_of(latitude, longitude)
    return PlaceOrder(row, latitude[row], longitude[row], uncertainty_m[row], starts)


@settings(max_examples=300, deadline=None)
@given(
    places=st.lists(_place, max_size=60),
    centre=st.tuples(_latitude, _longitude),
    radius_m=st.sampled_from([1.0, 5_000.0, 60_000.0, 2_000_000.0, 2.1e7]),
)
def test_a_box_misses_no_place(
    places: list[tuple[float, float]], centre: tuple[float, float], radius_m: float
) -> None:
    """A record that is left out here is never judged, and so never found."""
    order = _order(places)
    box = box_of_circle(*centre, radius_m)
    found = [row for run in order.runs(*box) for row in order.row[run].tolist()]
    assert len(found) == len(set(found))
    wanted = {
        row
        for row, (latitude, longitude) in enumerate(places)
        if box.south <= latitude <= box.north
        and any(west <= longitude <= east for west, east in box.longitudes)
    }
    assert wanted <= set(found)
    for row in found:
        assert box.south - 0.1 < places[row][0] < box.north + 0.1


def test_every_located_row_has_its_own_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that slipped against each other would put records elsewhere."""
    monkeypatch.setattr(place_order, "_PIECE", 100)
    random = np.random.default_rng(4)
    latitude, longitude = random.uniform(-90, 90, 1_000), random.uniform(-180, 180, 1_000)
    latitude[::7] = longitude[::7] = np.nan
    uncertainty_m = random.random(1_000).astype(np.float32)
    uncertainty_m[::3] = np.nan
    order = _of(latitude, longitude, uncertainty_m)
    assert sorted(order.row.tolist()) == np.flatnonzero(~np.isnan(latitude)).tolist()
    assert np.array_equal(order.latitude, latitude[order.row])
    assert np.array_equal(order.longitude, longitude[order.row])
    assert np.array_equal(order.uncertainty_m, uncertainty_m[order.row], equal_nan=True)


def test_no_row_with_a_place_is_an_order_of_none() -> None:
    """A segment of photos without coordinates is opened, too."""
    row, starts = order_of(np.full(5, np.nan), np.full(5, np.nan))
    assert len(row) == 0
    assert not starts.any()
    assert _order([]).runs(*box_of_circle(0.0, 0.0, 2.1e7)) == [slice(0, 0)]


def test_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    """What a server maps is what the indexer put in order; lost and cut files are named."""
    assert PlaceOrder.open(tmp_path) is None
    places = [(51.5, -0.1), (np.nan, np.nan), (-90.0, 180.0), (51.5, -0.2)]
    made = _order(places)
    latitude, longitude = np.array(places).T.copy()
    write_in_order(tmp_path, latitude, longitude, np.arange(4.0))
    opened = PlaceOrder.open(tmp_path)
    assert opened is not None
    assert opened.row.tolist() == made.row.tolist() == [2, 3, 0]
    assert opened.longitude.tolist() == [180.0, -0.2, -0.1]
    assert opened.uncertainty_m.tolist() == [2.0, 3.0, 0.0]
    for name in FILES:
        path = tmp_path / name
        content = path.read_bytes()
        path.write_bytes(content[:-4])
        with pytest.raises(BundleError, match=name):
            PlaceOrder.open(tmp_path)
        path.unlink()
        with pytest.raises(BundleError, match=name):
            PlaceOrder.open(tmp_path)
        path.write_bytes(content)
