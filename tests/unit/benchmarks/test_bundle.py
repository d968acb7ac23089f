"""The benchmark of a bundle that is there: its recall is real, its records are flat."""

from __future__ import annotations

from pathlib import Path

import msgspec
from click.testing import CliRunner

from benchmarks.bundle import RECALLS, main
from tests.bundle_factory import random_vectors, write_bundle


def test_records_of_a_bundle(tmp_path: Path) -> None:
    """A recall above one, or of other queries than were timed, would be printed as a success."""
    write_bundle(
        tmp_path / "atlas", [random_vectors(2_000, 16, seed=1)], factories=("IVF16,PQ8x4",)
    )
    output = tmp_path / "bundle.json"
    arguments = ["--bundle", str(tmp_path / "atlas"), "--queries", "20", "--exact-queries", "8"]
    result = CliRunner().invoke(main, [*arguments, "--json", str(output)])
    assert result.exit_code == 0, result.output
    records = msgspec.json.decode(output.read_bytes())
    assert [record["case"] for record in records] == ["exact", *(f"recall {r}" for r in RECALLS)]
    assert records[0]["recall_at_10"] == 1.0
    for record in records[1:]:
        assert record["rows"] == 2_000
        assert (record["asked"], record["compared"]) == (20, 8)
        assert 0.5 < record["recall_at_10"] <= 1.0
        assert 0 < record["p50_ms"] <= record["p99_ms"]
