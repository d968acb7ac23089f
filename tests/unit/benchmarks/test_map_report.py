"""The page of maps at scale, from records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.map_report import bars, page, read_records

Record = dict[str, Any]


def _records(rows: int, p50_ms: float) -> list[Record]:
    times = {"asked": 5, "max_ms": 70.0, "p50_cpu_ms": 3.0, "p99_cpu_ms": 9.0}
    return [
        {"rows": rows, "cpus": 2, "busy": 0.5, **record}
        for record in (
            {"case": "tile: species, z 0", "p50_ms": p50_ms, "p99_ms": 60.0, **times},
            {"case": "tile: class, z 9", "p50_ms": 2.0, "p99_ms": 20.0, **times},
            {"case": "size: without identifiers", "bytes_per_row": 58.25},
            {"case": "size: without occurrence ids", "bytes_per_row": 88.5},
            {
                "case": "build: total",
                "seconds": 1_500.0,
                "cpu_seconds": 2_000.0,
                "peak_rss_bytes": 13_000_000_000,
                "load": 2.5,
            },
            {
                "case": "against plain DuckDB: class, z 0",
                "p50_ms": 2.0,
                "plain_p50_ms": 500.0,
                "times_faster": 250.0,
                "same_numbers": False,
            },
        )
    ]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """An older file, and a later one that has one number again."""
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    old = _records(10_000_000, 4.0) + _records(100_000_000, 99.0)
    paths[0].write_bytes(msgspec.json.encode(old))
    paths[1].write_bytes(msgspec.json.encode(_records(100_000_000, 9.0)))
    return paths


def test_bars_are_decided_by_the_worst(files: list[Path]) -> None:
    """Would break: the page says pass where a case fell short, or where nothing was measured."""
    verdicts = {bar.asked: (bar.verdict, bar.found) for bar in bars(read_records(files))}
    assert verdicts["p50 of tiles at most 15 ms"] == ("pass", "9.0 (tile: species, z 0)")
    assert verdicts["p99 of tiles at most 80 ms"][0] == "pass"
    assert verdicts["at most 60 bytes a row without occurrence and image ids"][0] == "pass"
    assert verdicts["at most 60 bytes a row without occurrence ids alone"][0] == "fail"
    assert verdicts["memory at most 12 GB"][0] == "fail"
    assert verdicts["the same numbers as plain DuckDB"][0] == "fail"
    assert verdicts["p50 grows at most 2 times from 10 million"] == (
        "fail",
        "2.25 (growth: tile: species, z 0); 1 of 2 fall short",
    )
    assert (
        verdicts["distribution, median of the twenty commonest species, at most 150 ms"][0]
        == "not measured"
    )


def test_the_page_has_every_size(files: list[Path]) -> None:
    """Would break: a run that was measured is left out."""
    text = page(read_records(files))
    assert text.index("## 100,000,000 rows") < text.index("## 10,000,000 rows")
    assert "| tile: species, z 0 | 9.0 | 60.0 | 3.0 | 9.0 |" in text
    assert "99.0" not in text
    assert "| total | 1,500.0 | 2,000.0 | 13,000 | 2.5 |" in text
    assert page({})


def test_the_page_says_which_catalogs_stored_every_id(files: list[Path]) -> None:
    """Would break: sizes of an older format stand there as those of today."""
    sizes = read_records(files)
    assert page(sizes).count("Bundle format 2") == 2
    sizes[100_000_000].append({"case": "size: image_stored_id", "bytes_per_row": 0.8})
    assert page(sizes).count("Bundle format 2") == 1
