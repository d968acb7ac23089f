"""Checks ready vectors and makes them unit vectors.

Knows lists of numbers, not where they come from. Pure functions, safe from any thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.errors import PlanError
from indexer.records import RejectReason
from indexer.sources.parquet_table import open_parquet

_SAMPLE_ROWS = 1_000


class UnitVectors(NamedTuple):
    """Vectors of a part: float16 [kept, dim], and for each row of the part why it is refused."""

    unit: npt.NDArray[np.float16]
    problems: list[tuple[RejectReason, str] | None]


def check_vector_column(file: Path, column: str) -> None:
    """Raise PlanError unless the column of a Parquet file holds lists of numbers."""
    with open_parquet(file) as opened:
        kind = opened.schema_arrow.field(column).type
    is_list = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    if not is_list or not (
        pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
    ):
        raise PlanError(file, f"column {column!r} holds {kind}, not lists of numbers")


def likely_dim(path: Path, column: str) -> int:
    """The column type's length, or that of most of the first vectors.

    Raises PlanError where there are none to look at.
    """
    with open_parquet(path) as file:
        kind = file.schema_arrow.field(column).type
        if pa.types.is_fixed_size_list(kind):
            return int(kind.list_size)
        first = next(file.iter_batches(batch_size=_SAMPLE_ROWS, columns=[column]), None)
    lengths = [] if first is None else pc.list_value_length(first[0]).drop_null().to_pylist()
    known = [length for length in lengths if length]
    if not known:
        raise PlanError(path, "holds no vectors to take the dimension from; give the space a `dim`")
    return int(max(sorted(set(known)), key=known.count))


def unit_vectors(column: pa.ChunkedArray, dim: int) -> UnitVectors:
    """Check every vector and make it a unit vector; norms are taken in float64."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    right = lengths == dim
    flat = pc.list_flatten(column.filter(pa.array(right)))
    numbers = flat.cast(pa.float64()).to_numpy().reshape(-1, dim)
    finite = np.isfinite(numbers).all(axis=1)
    # Scaled by the largest component first, so that no square overflows or vanishes.
    largest = np.abs(np.where(finite[:, None], numbers, 0)).max(axis=1, initial=0)
    good = finite & (largest > 0)
    scaled = numbers[good] / largest[good, None]
    unit = (scaled / np.linalg.norm(scaled, axis=1, keepdims=True)).astype(np.float16)
    problems: list[tuple[RejectReason, str] | None] = []
    checked = iter(zip(finite, good, strict=True))
    for length, is_right in zip(lengths, right, strict=True):
        if not is_right:
            detail = f"the vector has {length} numbers, not {dim}"
            problems.append((RejectReason.VECTOR_WRONG_LENGTH, detail))
            continue
        is_finite, is_good = next(checked)
        if not is_finite:
            problems.append((RejectReason.VECTOR_NOT_FINITE, "the vector holds NaN or infinity"))
        else:
            zero = (RejectReason.VECTOR_ZERO, "the vector is all zeros and has no direction")
            problems.append(None if is_good else zero)
    return UnitVectors(unit, problems)
