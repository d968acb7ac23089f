"""What `benchmarks.coarse` measures: each way's share of the true nearest lists."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from benchmarks.coarse import main, measure


def test_shares_are_of_the_true_nearest() -> None:
    """Would break: a way that misses lists is given another's share."""
    found = measure(4_000, 16, queries=20, seed=1)["found"]
    assert {(one["way"], one["queries"], one["lists_asked"]) for one in found} == {
        (way, kind, count)
        for way in ("flat", "groups", "hnsw")
        for kind in ("image", "text")
        for count in (128, 256)
    }
    shares = {way: [one["share"] for one in found if one["way"] == way] for way in ("flat", "hnsw")}
    # Half precision turns the last places of the order round.
    assert min(shares["flat"]) > 0.99
    assert 0.9 < min(shares["hnsw"]) <= 1
    assert all(one["median_ms"] > 0 for one in found)


def test_the_command_writes_what_it_prints(tmp_path: Path) -> None:
    """Would break: the page's numbers cannot be made again."""
    file = tmp_path / "coarse.json"
    arguments = ["--lists", "600", "--dim", "8", "--queries", "3", "--rows-a-list", "4", "--json"]
    result = CliRunner().invoke(main, [*arguments, str(file)])
    assert result.exit_code == 0, result.output
    written = json.loads(file.read_bytes())
    assert (written["lists"], written["dim"], written["rows_a_list"]) == (600, 8, 4)
    assert len(written["found"]) == len(result.output.splitlines()) == 12
