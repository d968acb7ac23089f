"""Rows of a segment by the part they lie in."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.tables import segment_rows


@pytest.mark.parametrize("rows", [0, 1, 999, 1_000, 5_003])
def test_rows_by_part_are_in_the_segments_order(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row under another part would get that part's values, and nobody would notice."""
    monkeypatch.setattr(segment_rows, "_STRETCH_ROWS", 1_000)
    part_of = np.random.default_rng(rows).integers(0, 7, rows).astype(np.int32)
    part_of[part_of == 3] = 4  # a part of which the segment has nothing
    by_part, bounds = segment_rows._by_part(part_of, 8)
    assert by_part.tolist() == np.argsort(part_of, kind="stable").tolist()
    assert bounds == np.searchsorted(part_of[by_part], np.arange(9)).tolist()
