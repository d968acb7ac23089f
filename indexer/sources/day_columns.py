"""First and last days from whole columns of dates, with what is wrong with them.

The same rules as `darwin_core`, applied once to each distinct text. Pure, safe from any thread.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from indexer.darwin_core import EARLIEST_YEAR, clean, date_of, days_of
from indexer.sources.columns import Columns, spelled
from indexer.sources.text_columns import distinct, plain, tidied

Flags = npt.NDArray[np.int32]

# A day with a sound time of day, which says no more here than the day alone.
_TIMED_DAY = (
    r"^(\d{4}-\d{2}-\d{2})[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
    r"(?:Z|[+-]\d{2}(?::\d{2})?)?$"
)
_DATE_TERMS = ("eventDate", "year", "month", "day")
_SEPARATOR = "\x1f"


class Days(NamedTuple):
    """First and last day (date32, null where unknown), and the flags of each."""

    first: pa.Array
    last: pa.Array
    flags: Flags


def days_of_column(event_date: pa.Array, as_of: date) -> Days:
    """Read a cleaned text column; `as_of` is the day on which the source was written."""
    return days_of_columns(Columns({"eventDate": event_date}, len(event_date)), as_of)


def days_of_columns(columns: Columns, as_of: date) -> Days:
    """Read the date terms; `as_of` is the day on which the source was written."""
    given = [term for term in _DATE_TERMS if term in columns]
    if given == ["eventDate"] and columns.raw("eventDate").type == pa.date32():
        return _days_of_dates(columns.raw("eventDate"), as_of)
    texts = [plain(spelled(columns.raw(term))) for term in _DATE_TERMS]
    texts[0] = pc.replace_substring_regex(texts[0], pattern=_TIMED_DAY, replacement=r"\1")
    # Cleaned texts hold no separator, which counts as a blank.
    found = distinct(pc.binary_join_element_wise(*(tidied(t, clean) for t in texts), _SEPARATOR))
    read = [_days_of_parts(joined, as_of) for joined in found.values]
    return Days(
        found.spread([days[0] for days, _ in read], pa.date32()),
        found.spread([days[1] for days, _ in read], pa.date32()),
        found.spread([int(flag) for _, flag in read], pa.int32()).to_numpy(),
    )


def _days_of_dates(dates: pa.Array, as_of: date) -> Days:
    """Days that came as days; null where none is given."""
    earliest, latest = ((day - date(1970, 1, 1)).days for day in (date(EARLIEST_YEAR, 1, 1), as_of))
    day = dates.cast(pa.int32()).fill_null(earliest).to_numpy()
    implausible = (day < earliest) | (day > latest)
    flags = np.where(implausible, np.int32(Flag.DATE_IMPLAUSIBLE), np.int32(0))
    return Days(dates, dates, flags)


def _days_of_parts(joined: str, as_of: date) -> tuple[tuple[date | None, date | None], Flag]:
    parts = joined.split(_SEPARATOR)
    return days_of(date_of(dict(zip(_DATE_TERMS, parts, strict=True))), as_of)
