"""Files of plain numbers, mapped into memory for reading. Safe from any thread."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from atlas.errors import BundleError

ScalarT = TypeVar("ScalarT", bound=np.generic)


def map_numbers(path: Path, dtype: type[ScalarT], count: int) -> npt.NDArray[ScalarT]:
    """The `count` numbers of a file, (count,), read-only; it holds nothing else.

    Raises BundleError naming the file when it is missing or has another size.
    """
    expected_bytes = count * np.dtype(dtype).itemsize
    try:
        size_bytes = path.stat().st_size
    except FileNotFoundError as error:
        raise BundleError(path, "this file is missing") from error
    if size_bytes != expected_bytes:
        raise BundleError(path, f"holds {size_bytes} bytes where {expected_bytes} belong")
    if count == 0:
        return np.empty(0, dtype)
    # A plain array of the mapped bytes: slices of a memmap object take ten times as long.
    numbers: npt.NDArray[ScalarT] = np.asarray(np.memmap(path, dtype=dtype, mode="r"))
    return numbers
