"""A distribution as a table: for CSV and Parquet files, one row a cell. Pure.

Columns are the fields of the JSON answer, flat, with each cell's centre. What is said of the whole
goes into the schema's metadata, which Parquet keeps and CSV cannot.
"""

from __future__ import annotations

import io
from typing import Any

import h3.api.basic_int as h3
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from atlas.geo.cells import area_km2
from atlas.species.cell_columns import days
from atlas.species.distribution import MappedTaxon
from atlas.species.occupancy import UNKNOWN_DAY
from atlas.species.states import RECORDED, SEARCHED

METADATA_KEY = b"atlas"
_COUNTS = ("observers", "visits")
_EFFORT = ("effort_n", "effort_observers", "effort_visits")
_RATES = {
    "reporting_rate": "rate",
    "reporting_rate_lower": "rate_lower",
    "reporting_rate_upper": "rate_upper",
    "density": "density",
    "confidence": "confidence",
}


def table_of(mapped: MappedTaxon) -> pa.Table:
    """All cells, coarse ones last; unknown is null."""
    cells, coarse = mapped.cells, mapped.coarse
    fine, rest = len(cells.cell), len(coarse.cell)
    numbers = np.concatenate([cells.cell, coarse.cell])
    centres = np.array([h3.cell_to_latlng(cell) for cell in numbers.tolist()]).reshape(-1, 2)
    is_coarse = np.arange(fine + rest) >= fine
    recorded = np.concatenate([cells.n > 0, np.ones(rest, np.bool_)])
    columns: dict[str, pa.Array] = {
        "cell": pa.array([f"{cell:x}" for cell in numbers.tolist()], pa.string()),
        "resolution": pa.array(
            np.concatenate([np.full(fine, mapped.resolution, np.int8), coarse.resolution])
        ),
        "latitude": pa.array(np.round(centres[:, 0], 6)),
        "longitude": pa.array(np.round(centres[:, 1], 6)),
        "coarse": pa.array(is_coarse),
        "state": pa.array(np.where(recorded, RECORDED, SEARCHED).tolist(), pa.string()),
        "n": pa.array(np.concatenate([cells.n, coarse.n])),
    }
    for name in _COUNTS:
        columns[name] = _extended(getattr(cells, name), rest, None)
    for name in ("first_day", "last_day"):
        known = getattr(cells, name) != UNKNOWN_DAY
        columns[name] = _extended(days(getattr(cells, name)), rest, known).cast(pa.date32())
    columns["min_uncertainty_m"] = _floats(cells.min_uncertainty_m, rest)
    columns["area_km2"] = pa.array(np.concatenate([cells.area_km2, area_km2(coarse.cell)]).round(3))
    for name in _EFFORT:
        columns[name] = _extended(getattr(cells, name), rest, cells.effort_n > 0)
    for name, column in _RATES.items():
        columns[name] = _floats(getattr(cells, column), rest)
    return pa.table(columns).replace_schema_metadata({METADATA_KEY: _about(mapped)})


def csv_of(mapped: MappedTaxon) -> bytes:
    """The table as CSV (RFC 4180): UTF-8, a header line, nothing for unknown."""
    written = io.BytesIO()
    pyarrow.csv.write_csv(
        table_of(mapped), written, pyarrow.csv.WriteOptions(quoting_style="needed")
    )
    return written.getvalue()


def parquet_of(mapped: MappedTaxon) -> bytes:
    """The table as Parquet, with what is said of the whole in the metadata `atlas` (JSON)."""
    written = io.BytesIO()
    pyarrow.parquet.write_table(table_of(mapped), written, compression="zstd")
    return written.getvalue()


def _extended(values: npt.NDArray[Any], rest: int, known: npt.NDArray[np.bool_] | None) -> pa.Array:
    """A column of the fine cells, null where not `known` and in the `rest`, the coarse ones."""
    missing = np.zeros(len(values), np.bool_) if known is None else ~known
    mask = np.concatenate([missing, np.ones(rest, np.bool_)])
    filler = np.zeros(rest, values.dtype)
    return pa.array(np.concatenate([values, filler]), mask=mask)


def _floats(values: npt.NDArray[Any], rest: int) -> pa.Array:
    return _extended(values.astype(np.float64), rest, ~np.isnan(values))


def _about(mapped: MappedTaxon) -> bytes:
    return msgspec.json.encode(
        {
            "taxon_id": mapped.taxon_id,
            "resolution": mapped.resolution,
            "target_group": mapped.target_group,
            "records": mapped.records,
            "coarse_records": mapped.coarse_records,
            "held_back": mapped.held_back,
        }
    )
