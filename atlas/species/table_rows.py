"""Columns of a catalog query as rows of plain Python values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]


def table_rows(columns: Columns) -> list[dict[str, Any]]:
    """One dict a row: None for null, `datetime.date` for days."""
    values = [_plain(column) for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def chosen(columns: Columns, keep: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
    """The rows for which `keep`, bool[n], is true."""
    return {name: column[keep] for name, column in columns.items()}


def _plain(column: npt.NDArray[Any]) -> list[Any]:
    if column.dtype.kind == "M":
        column = column.astype("datetime64[D]")
    plain: list[Any] = column.tolist()
    return plain
