"""Costs of this machine: measured where none are kept, kept beside the bundle, never in it."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from atlas.bundle import Bundle
from atlas.search import costs as costs_module
from atlas.search.calibration import set_costs
from atlas.search.costs import ASSUMED, calibrate, costs_path, read_costs, write_costs
from atlas.search.lists import Centroids, Lists
from atlas.search.planner import SearchSettings, SpaceIndex, space_indexes
from atlas.search.selection import Selection
from tests.bundle_factory import SPACE, random_vectors, write_bundle

COARSE = {SPACE: "ab12"}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle with an index, in a folder of its own."""
    return write_bundle(
        tmp_path / "atlas", [random_vectors(3_000, 32, seed=1)], factories=("IVF32,PQ8x4",)
    )


def spaces_of(bundle: Bundle) -> dict[str, SpaceIndex]:
    """Its one space."""
    return space_indexes(bundle.segments, {SPACE: None}, SearchSettings())


def test_measured_costs_are_positive_and_kept(bundle: Bundle) -> None:
    """A negative or absent cost would make every plan choose the same way."""
    before = sorted(bundle.root.rglob("*"))
    spaces = spaces_of(bundle)
    set_costs(bundle, spaces, calibrate_missing=True)
    costs = spaces[SPACE].costs
    assert costs is not ASSUMED
    assert all(value >= 0 for value in msgspec.structs.astuple(costs))
    assert costs.in_place_ns > 0
    assert costs.gathered_ns > 0
    assert costs_path(bundle.root).parent == bundle.root.parent
    assert sorted(bundle.root.rglob("*")) == before
    again = spaces_of(bundle)
    set_costs(bundle, again, calibrate_missing=False)
    assert again[SPACE].costs == costs


def test_costs_of_another_machine_or_index_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle that was copied with its costs would be planned for the machine it came from."""
    path = tmp_path / "atlas.costs.json"
    assert read_costs(path, COARSE) is None
    write_costs(path, {SPACE: ASSUMED}, COARSE)
    assert read_costs(path, COARSE) == {SPACE: ASSUMED}
    assert read_costs(path, {SPACE: "other"}) is None
    monkeypatch.setattr(costs_module, "this_machine", lambda: "another")
    assert read_costs(path, COARSE) is None
    path.write_bytes(b"{")
    assert read_costs(path, COARSE) is None


def test_a_folder_that_cannot_be_written_does_not_stop_the_server(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Bundles are often mounted read-only; the costs are then measured at every start."""

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("atlas.search.calibration.write_costs", refuse)
    spaces = spaces_of(bundle)
    with caplog.at_level(logging.WARNING):
        set_costs(bundle, spaces, calibrate_missing=True)
    assert spaces[SPACE].costs is not ASSUMED
    assert "read-only" in caplog.text


def test_without_calibration_common_figures_are_assumed(bundle: Bundle) -> None:
    """An operator who turns it off wants the same plans on every machine."""
    spaces = spaces_of(bundle)
    set_costs(bundle, spaces, calibrate_missing=False)
    assert spaces[SPACE].costs == ASSUMED
    assert not costs_path(bundle.root).exists()


def test_estimates_add_up(bundle: Bundle) -> None:
    """The planner compares milliseconds; a unit that is off by a thousand picks one way for all."""
    segment = bundle.segments[0]
    index = segment.index(SPACE)
    measured = calibrate(segment.vectors(SPACE), Lists(index, Centroids(index)))
    assert measured.exact_ms(Selection.everything(3_000)) == pytest.approx(
        3_000 * measured.in_place_ns / 1e6
    )
    assert ASSUMED.probing_ms(
        lists=1_000, probed=10, codes=1_000, skipped=100, fetch=100
    ) == pytest.approx(0.1 + 0.11 + 0.003 + 0.045 + 0.0002 + 0.03)
