"""Names of a part as numbers, and rows of a segment in stretches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import BuildError
from indexer.tables import segment_rows
from indexer.tables.sort_keys import NAMES, combined, distinct_names
from tests.unit.indexer.world import random_rows, sort_world

_WORDS = st.sampled_from(["", "Hyla", "Rana", "Bufo"])
_ROWS = st.lists(st.tuples(st.lists(_WORDS, min_size=3, max_size=3), _WORDS, _WORDS), max_size=40)


@given(_ROWS)
def test_each_row_has_its_own_names(rows: list[tuple[list[str], str, str]]) -> None:
    """Would break: a photo is filed under another taxon than its names say."""
    lineage, scientific, common = zip(*rows, strict=True) if rows else ([], [], [])
    words = pa.dictionary(pa.int32(), pa.string())
    table = pa.table(
        {
            "lineage": pa.array(lineage, pa.list_(pa.string())),
            "scientific_name": pa.array(scientific, pa.string()).cast(words),
            "common_name": pa.array(common, pa.string()),
        }
    )
    names, at = distinct_names(table)
    found = names.select(NAMES).to_pylist()
    assert [tuple(found[number].values()) for number in at.tolist()] == rows
    assert len({repr(row) for row in found}) == len(found)
    assert sum(names["uses"].to_pylist()) == len(rows)


def test_lineages_of_different_length_stop_the_build() -> None:
    """Would break: names slip from one rank, or one row, to the next."""
    table = pa.table(
        {"lineage": [["a", "b"], ["c"]], "scientific_name": ["", ""], "common_name": ["", ""]}
    )
    with pytest.raises(BuildError, match="differ in length"):
        distinct_names(table)


def test_many_wide_columns_do_not_overflow() -> None:
    """Would break: two different rows get one number, since 64 bits are not enough for all."""
    rng = np.random.default_rng(0)
    columns = [rng.integers(-1, 1 << 21, 500) for _ in range(8)]
    columns = [np.concatenate([codes, codes[:100]]) for codes in columns]
    key = combined(columns)
    assert len(np.unique(key)) == 500
    assert (key[500:] == key[:100]).all()


def test_rows_are_the_same_in_small_stretches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a segment larger than one stretch loses, doubles or mixes up rows."""
    rows = random_rows(5, (70, 0, 41))
    whole = sort_world(tmp_path / "whole", rows, 60)
    monkeypatch.setattr(segment_rows, "_STRETCH_ROWS", 7)
    pieces = sort_world(tmp_path / "pieces", rows, 60)
    assert pieces.stored() == whole.stored()
    for cut in pieces.cuts:
        groups = pq.ParquetFile(pieces.segment(cut) / "rows.parquet").num_row_groups
        assert groups == -(-cut.rows // 7)
