"""Checks ready vectors and makes them unit vectors.

Knows lists of numbers, not where they come from. Pure functions, safe from any thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.errors import PlanError
from indexer.records import RejectReason
from indexer.sources.parquet_table import open_parquet

_SAMPLE_ROWS = 1_000
# Rows made float64 at once: 6 MB at 768 dimensions, which the caches hold.
_BLOCK_ROWS = 1_024


class UnitVectors(NamedTuple):
    """Vectors of a part: float16 [kept, dim], and why each refused row of the part is refused.

    `problems` is keyed by the row's position in the part, in ascending order.
    """

    unit: npt.NDArray[np.float16]
    problems: dict[int, tuple[RejectReason, str]]


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
    flat = pc.list_flatten(column if right.all() else column.filter(pa.array(right)))
    chunks = flat.chunks if isinstance(flat, pa.ChunkedArray) else [flat]
    # A null number becomes NaN here, and its vector is refused.
    numbers = (
        np.concatenate(
            [np.empty(0, np.float16), *(chunk.to_numpy(zero_copy_only=False) for chunk in chunks)]
        )
        if len(chunks) != 1
        else chunks[0].to_numpy(zero_copy_only=False)
    )
    numbers = numbers.reshape(-1, dim)
    unit = np.empty(numbers.shape, np.float16)
    finite, good = np.empty(len(numbers), bool), np.empty(len(numbers), bool)
    kept = 0
    for start in range(0, len(numbers), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        made, finite[block], good[block] = _unit_block(numbers[block])
        unit[kept : kept + len(made)] = made
        kept += len(made)
    problems: dict[int, tuple[RejectReason, str]] = {}
    for at in np.flatnonzero(~right):
        detail = f"the vector has {lengths[at]} numbers, not {dim}"
        problems[int(at)] = (RejectReason.VECTOR_WRONG_LENGTH, detail)
    place = np.flatnonzero(right)
    for at in place[~finite]:
        problems[int(at)] = (RejectReason.VECTOR_NOT_FINITE, "the vector holds NaN or infinity")
    for at in place[finite & ~good]:
        detail = "the vector is all zeros and has no direction"
        problems[int(at)] = (RejectReason.VECTOR_ZERO, detail)
    return UnitVectors(unit[:kept], dict(sorted(problems.items())))


def _unit_block(
    numbers: npt.NDArray[Any],
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Unit vectors of the good rows, and which rows are finite, and good: finite and not zero."""
    if numbers.dtype == np.float16:
        # numpy takes float16 to float64 fifteen times slower than by way of float32.
        numbers = numbers.astype(np.float32)
    wide = numbers.astype(np.float64)
    # Scaled by the largest component first, so that no square overflows or vanishes.
    largest = np.maximum(wide.max(axis=1), -wide.min(axis=1))
    finite = np.isfinite(largest)  # a NaN or an infinity in a row becomes its largest
    good = finite & (largest > 0)
    if not good.all():
        wide, largest = wide[good], largest[good]
    wide /= largest[:, None]
    wide /= np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
    return wide.astype(np.float16), finite, good
