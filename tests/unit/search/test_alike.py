"""Which photos of a burst stand behind which, against one pair at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atlas.search.alike import firsts_of_alike


def one_by_one(
    rows: list[int],
    bursts: list[int],
    vectors: np.ndarray,
    first_row: int,
    near_rows: int,
    least_cosine: float,
) -> list[int]:
    """The definition, word by word."""
    firsts: dict[int, int] = {}
    for at, row in enumerate(rows):
        if row in firsts:
            continue
        firsts[row] = row
        own = vectors[row - first_row].astype(np.float64)
        own /= np.linalg.norm(own)
        for later in range(at + 1, len(rows)):
            other = rows[later]
            if (
                other not in firsts
                and bursts[later] == bursts[at]
                and other - row <= near_rows
                and vectors[other - first_row].astype(np.float64) @ own >= least_cosine
            ):
                firsts[other] = row
    return [firsts[row] for row in rows]


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 60),
    bursts=st.integers(1, 6),
    near_rows=st.integers(1, 40),
    least_cosine=st.sampled_from([0.0, 0.7, 0.9, 1.0]),
)
def test_groups_equal_their_definition(
    seed: int, count: int, bursts: int, near_rows: int, least_cosine: float
) -> None:
    """Would break: a photo stands behind one it is not like, or one of its like is left out."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((3, 5))[rng.integers(0, 3, 80)]
    vectors = vectors + 0.3 * rng.standard_normal((80, 5))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    rows = np.sort(rng.choice(80, count, replace=False)).astype(np.int64) + 1_000
    numbers = rng.integers(0, bursts, count).astype(np.int64)
    found = firsts_of_alike(
        rows, numbers, vectors, 1_000, near_rows=near_rows, least_cosine=least_cosine
    )
    wanted = one_by_one(rows.tolist(), numbers.tolist(), vectors, 1_000, near_rows, least_cosine)
    assert found.tolist() == wanted
