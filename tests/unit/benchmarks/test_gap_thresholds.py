"""The simulation behind the thresholds of cell states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from atlas.species.gaps import GapSettings
from benchmarks.gap_thresholds import main, measured, simulated


def test_the_defaults_are_what_the_table_says() -> None:
    """Below the default gates coverage misleads; above them it is right within a tenth."""
    cells = simulated(3000, np.random.default_rng(7))
    settings = GapSettings()
    few = cells["visits"] < settings.least_visits / 2
    enough = (cells["visits"] >= settings.least_visits) & (
        cells["each"] >= settings.least_visits_per_species
    )
    error = cells["estimate"] - cells["truth"]
    assert np.sqrt((error[few] ** 2).mean()) > 0.25
    assert np.sqrt((error[enough] ** 2).mean()) < 0.08
    assert abs(error[enough].mean()) < 0.02
    well = (
        enough
        & (cells["estimate"] >= settings.well_coverage)
        & (cells["each"] >= settings.well_visits_per_species)
    )
    assert (cells["truth"][well] < 0.8).mean() < 0.03


def test_records_count_every_cell(tmp_path: Path) -> None:
    """Each cell is in one bin of visits, and a seed gives the same table again."""
    file = tmp_path / "records.json"
    result = CliRunner().invoke(main, ["--rows", "400", "--seed", "3", "--json", str(file)])
    assert result.exit_code == 0, result.output
    records = json.loads(file.read_text())
    cells = simulated(400, np.random.default_rng(3))
    by_visits = [record["cells"] for record in records if record["case"].startswith("visits")]
    assert sum(by_visits) == len(cells["visits"])
    again = measured(cells)
    assert [record["rmse"] for record in records] == [record["rmse"] for record in again]
    assert records[0]["bias"] == pytest.approx(again[0]["bias"])
