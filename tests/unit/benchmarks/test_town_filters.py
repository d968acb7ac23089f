"""The benchmark of filters by towns on a bundle that is built in a second."""

from __future__ import annotations

from pathlib import Path

import msgspec
from click.testing import CliRunner

from benchmarks import town_filters


def test_every_town_is_asked_for_alone_and_with_a_taxon(
    unserved_bundle: Path, tmp_path: Path
) -> None:
    """A town that is not in the gazetteer, or a taxon of no rows, would be a number of nothing."""
    target = tmp_path / "records.json"
    arguments = ["--bundle", str(unserved_bundle), "--asks", "2", "--json", str(target)]
    result = CliRunner().invoke(town_filters.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    records = msgspec.json.decode(target.read_bytes())
    assert len(records) == 2 * len(town_filters.TOWNS)
    assert {record["case"].split(",")[0] for record in records} == set(town_filters.TOWNS)
    assert all(record["processor_ms"] > 0 for record in records)
    assert all(record["p50_ms"] > 0 for record in records)
    assert "Nairobi, 22 km, of a taxon" in result.output
