"""Reciprocal rank fusion against brute force, with exact lists and with poor ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise, repeat
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.search.fusion import FusedRanking, FusionSettings, fuse
from atlas.search.listing import RowIds, positions_in
from atlas.search.planner import SegmentPlan


class Given:
    """A list of hits that is known beforehand."""

    def __init__(self, row_ids: Sequence[int]) -> None:
        self._row_ids = np.array(row_ids, np.int64)

    def first(self, count: int) -> tuple[Any, RowIds]:
        """The first `count`."""
        row_ids = self._row_ids[:count]
        return np.zeros(len(row_ids), np.float32), row_ids

    def plans(self) -> tuple[SegmentPlan, ...]:
        """Nothing was done."""
        return ()


def _fused_by_hand(lists: Sequence[Sequence[int]], k: int, depth: int) -> list[tuple[float, int]]:
    """Scores and rows in order, by the definition in `FusedRanking`, one row at a time."""
    listed: dict[int, float] = {}
    for reach in accumulate(repeat(4, 12), lambda reach, factor: reach * factor, initial=depth):
        tier: dict[int, float] = {}
        for rows in lists:
            for rank, row in enumerate(rows[:reach], 1):
                tier[row] = tier.get(row, 0.0) + 1.0 / (k + rank)
        fresh = {row: score for row, score in tier.items() if row not in listed}
        listed |= dict(sorted(fresh.items(), key=lambda pair: (-pair[1], pair[0])))
    return [(score, row) for row, score in listed.items()]


@settings(max_examples=200, deadline=None)
@given(
    rows=st.integers(0, 60),
    spaces=st.integers(1, 3),
    k=st.integers(0, 100),
    depth=st.integers(1, 20),
    seed=st.integers(0, 1_000),
    counts=st.lists(st.integers(0, 70), min_size=1, max_size=5),
    parts=st.lists(st.integers(0, 30), max_size=2),
)
def test_fusion_equals_its_definition(
    rows: int, spaces: int, k: int, depth: int, seed: int, counts: list[int], parts: list[int]
) -> None:
    """Whatever is asked for before, and in whatever steps, the list is one and complete."""
    rng = np.random.default_rng(seed)
    lists = [rng.permutation(rows).tolist() for _ in range(spaces)]
    lists += [rng.permutation(rows)[:part].tolist() for part in parts]  # of what is preferred
    fused = FusedRanking([Given(one) for one in lists], FusionSettings(k=k, depth=depth))
    expected = _fused_by_hand(lists, k, depth)
    for count in counts:
        scores, row_ids = fused.first(count)
        assert row_ids.tolist() == [row for _, row in expected[:count]]
        assert np.allclose(scores, [score for score, _ in expected[:count]], atol=1e-12)
    everything = fused.first(rows)[1]
    assert sorted(everything.tolist()) == list(range(rows))


def test_ranks_are_those_that_were_fused() -> None:
    """A rank that did not count must not be shown as if it had."""
    fused = FusedRanking([Given([5, 6, 7, 8]), Given([8, 7, 6, 5])], FusionSettings(depth=2))
    assert fused.first(4)[1].tolist() == [5, 8, 6, 7]
    assert fused.ranks(np.array([8, 5, 6])).tolist() == [[0, 1], [1, 0], [2, 0]]


def test_groups_are_one_hit() -> None:
    """Two spaces may show a species by different photos; it is one species all the same."""
    fused = FusedRanking(
        [Given([10, 20, 31]), Given([21, 11, 30])], FusionSettings(), lambda rows: rows // 10
    )
    scores, row_ids = fused.first(9)
    assert row_ids.tolist() == [10, 21, 31]
    assert fused.ranks(row_ids).tolist() == [[1, 2], [2, 1], [3, 3]]
    assert scores[0] == pytest.approx(1 / 61 + 1 / 62)


def test_agreement_beats_a_single_top() -> None:
    """The published formula at k = 60: one first place equals two 62nd places."""
    scores = fuse(np.array([[1, 0], [62, 62], [63, 63]]), 60)
    assert scores[0] == pytest.approx(scores[1])
    assert scores[2] < scores[1]


def test_settings_are_checked() -> None:
    """A depth of zero would list nothing for ever."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"depth": 0}, FusionSettings)


def test_positions_in_a_list() -> None:
    """Rows that are not there must not be taken for the last one."""
    listed = np.array([7, 3, 9])
    assert positions_in(listed, np.array([9, 7, 4, 100, 3])).tolist() == [2, 0, -1, -1, 1]
    assert positions_in(np.empty(0, np.int64), np.array([1])).tolist() == [-1]
    assert [b - a for a, b in pairwise(positions_in(listed, listed))] == [1, 1]
