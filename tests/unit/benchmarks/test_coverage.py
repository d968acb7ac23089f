"""The test of coverage: samples and what they are held against share no visit, by brute force."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.communities import Met
from benchmarks.coverage import LEAST_VISITS, REPEATS, SHARES, calibration, draw, main, thin


def _met(seed: int, visits: int = 60, species: int = 30) -> Met:
    """Two cells, the second with too few visits to be asked."""
    random = np.random.default_rng(seed)
    chance = random.beta(0.5, 2.0, species)
    rows, found = np.nonzero(random.random((visits + 5, species)) < chance)
    return Met((rows >= visits).astype(np.int64), rows, found)


def test_only_well_visited_cells_are_thinned() -> None:
    """One cell of two has the visits; each share is kept as often as stated."""
    found = thin(_met(1), 0)
    assert LEAST_VISITS > 5
    assert len(found.visits) == len(SHARES) * REPEATS
    assert ((found.seen >= 0.0) & (found.seen <= 1.0)).all()
    assert ((found.coverage >= 0.0) & (found.coverage <= 1.0)).all()


def test_where_visits_are_alike_coverage_is_the_share_seen() -> None:
    """Independent visits to one community: a wrong estimate is off on average."""
    parts = [thin(_met(seed, visits=200), seed) for seed in range(12)]
    kept = [part.visits >= 10 for part in parts]
    error = np.concatenate(
        [(part.coverage - part.seen)[rows] for part, rows in zip(parts, kept, strict=True)]
    )
    assert abs(error.mean()) < 0.01
    record = calibration("alike", parts[0], 0)[0]
    assert record["case"] == "gated"
    assert record["coverage"] - record["seen"] == pytest.approx(record["error"], abs=2e-4)


def test_one_visit_claims_everything() -> None:
    """The documented trap shows in the records: coverage 1, and far less was seen."""
    records = calibration("alike", thin(_met(1), 0), 0)
    single = next(r for r in records if (r["case"], r["from"]) == ("visits", 1))
    assert single["coverage"] == 1.0
    assert single["seen"] < 0.8


def test_the_command_draws_and_writes(tmp_path: Path) -> None:
    """Records and a drawing of the same bytes each time, without the real table."""
    json_file, plot = tmp_path / "coverage.json", tmp_path / "coverage.svg"
    arguments = ["--rows", "40000", "--data", str(tmp_path), "--json", str(json_file)]
    done = CliRunner().invoke(main, [*arguments, "--plot", str(plot)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "not measured" in done.output
    records = msgspec.json.decode(json_file.read_bytes())
    assert {record["world"] for record in records} == {"simulated"}
    again = tmp_path / "again.svg"
    thinned = thin(_met(1), 0)
    draw({"one": thinned}, plot)
    draw({"one": thinned}, again)
    assert plot.read_bytes() == again.read_bytes()
