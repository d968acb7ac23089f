"""The benchmark of ingest accounts for every row of the dumps that it makes up."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.inat_rows import write_dumps
from benchmarks.ingest import measure

_ROWS_OF_SEED_2 = "6621ed5a76740d310ac0f47e757e6bd51c015339c90f684e002423be3e5b2833"


def test_ingest_is_measured_on_rows_that_add_up(tmp_path: Path) -> None:
    """Would break: the benchmark times a path that loses rows, or ingest gives other rows.

    The digest is that of the rows when each was still read as text and joined in one query.
    """
    found = measure(tmp_path, 3_000, seed=2)
    assert found["rows_in"] == found["rows_out"] + found["rejects"]
    assert found["rejects"] == 5
    assert found["rows_per_s"] > 0
    (segment,) = tmp_path.glob("bundle.work/assembly/segments/*/rows.parquet")
    rows = pq.read_table(segment)
    assert rows["dataset_key"].null_count == len(rows)  # dumps name none; the digest is older
    content = repr(rows.drop_columns("dataset_key").to_pydict())
    assert hashlib.sha256(content.encode()).hexdigest() == _ROWS_OF_SEED_2


def test_dumps_follow_their_seed(tmp_path: Path) -> None:
    """Would break: two runs of the benchmark measure different data."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_dumps(tmp_path / name, 500, seed=seed)
    one, again, other = ((tmp_path / name / "photos.csv.gz") for name in "abc")
    assert one.read_bytes()[10:] == again.read_bytes()[10:]
    assert one.read_bytes()[10:] != other.read_bytes()[10:]
