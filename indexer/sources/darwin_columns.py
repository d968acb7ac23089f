"""Records from whole columns of Darwin Core values.

The same rules as `darwin_core.record_of`, applied once to each distinct text: a property test
holds the two together. Pure, safe from any thread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.bundle.flags import Flag
from atlas.species.sensitive import snap_obscured
from indexer.darwin_core import (
    EARLIEST_YEAR,
    OBSCURED_UNCERTAINTY_M,
    Defaults,
    clean,
    clean_name,
    date_of,
    days_of,
    identifying,
    number_of,
    remark_of,
    uncertainty_of,
)
from indexer.licences import normalise_licence
from indexer.records import RECORD_SCHEMA, image_ids_of, made_occurrence_id
from indexer.sources.text_columns import (
    Passing,
    distinct,
    is_empty,
    or_null,
    passing_of,
    plain,
    tidied,
)

Flags = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.float64]

_PLAIN_NUMBER = r"^-?\d{1,15}(\.\d{1,15})?$"
# A day with a sound time of day, which says no more here than the day alone.
_TIMED_DAY = (
    r"^(\d{4}-\d{2}-\d{2})[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
    r"(?:Z|[+-]\d{2}(?::\d{2})?)?$"
)
_DATE_TERMS = ("eventDate", "year", "month", "day")
_SEPARATOR = "\x1f"
_KEPT_TEXTS = {
    "observer": "recordedBy",
    "basis_of_record": "basisOfRecord",
    "rights_holder": "rightsHolder",
    "reference_url": "references",
    "media_url": "mediaURL",
}


class Places(NamedTuple):
    """Points in degrees with their uncertainty, NaN where unknown, and the flags of each."""

    latitude: Numbers
    longitude: Numbers
    uncertainty_m: Numbers
    flags: Flags


class Days(NamedTuple):
    """First and last day (date32, null where unknown), and the flags of each."""

    first: pa.Array
    last: pa.Array
    flags: Flags


class Columns:
    """Columns of a part by Darwin Core term or rank: text, "" for null, or numbers and days.

    Text may be dictionaries. A term without a column is empty in every row. `tidy` are columns that
    `clean` is known to leave as they are.
    """

    def __init__(
        self, given: Mapping[str, pa.Array], rows: int, tidy: Collection[str] = frozenset()
    ) -> None:
        self._given = given
        self._tidy = tidy
        self.rows = rows

    def __contains__(self, name: str) -> bool:
        """Whether there is a column of that name."""
        return name in self._given

    def raw(self, name: str) -> pa.Array:
        """The column as it came."""
        if name in self._given:
            return self._given[name]
        return pa.repeat(pa.scalar("", pa.string()), self.rows)

    def text(self, name: str, *, is_name: bool = False) -> pa.Array:
        """The column as cleaned text; `is_name` for names of taxa."""
        if name not in self._given or (name in self._tidy and not is_name):
            return self.raw(name)
        return tidied(_as_text(self.raw(name)), clean_name if is_name else clean)

    def row(self, at: int) -> dict[str, str]:
        """One row's cleaned text, by name."""
        return {
            name: clean(_as_text(column.slice(at, 1))[0].as_py())
            for name, column in self._given.items()
        }


def records_of(
    columns: Columns,
    row: pa.Array,
    ranks: Sequence[str],
    defaults: Defaults,
    *,
    media_refs: pa.Array | None = None,
) -> pa.Table:
    """Records without pictures and without cells, of the schema in `indexer.records`.

    `row` is each record's line or row in its file, int64. `media_refs` are the texts that tell the
    images of one occurrence apart, where it may have several.
    """
    name = columns.text("scientificName", is_name=True)
    lineage = [columns.text(rank, is_name=True) for rank in ranks]
    remark = [columns.text(term) for term in ("informationWithheld", "dataGeneralizations")]
    place = _with_remarks(
        places_of(
            columns.raw("decimalLatitude"),
            columns.raw("decimalLongitude"),
            columns.raw("coordinateUncertaintyInMeters"),
        ),
        pc.binary_join_element_wise(*map(plain, remark), _SEPARATOR),
    )
    days = days_of_columns(columns, defaults.as_of)
    occurrence_id, made = _occurrence_ids(columns, defaults.source_key)
    status = columns.text("occurrenceStatus")
    flags = place.flags | days.flags
    for wrong, flag in (
        (np.logical_and.reduce([is_empty(part) for part in (name, *lineage)]), Flag.NAME_MISSING),
        (made, Flag.OCCURRENCE_ID_MADE),
        (~is_empty(tidied(status, _absent)), Flag.RECORDED_ABSENT),
    ):
        flags = flags | np.where(wrong, np.int32(flag), np.int32(0))
    found = {
        "image_id": image_ids_of(defaults.source_key, occurrence_id, media_refs),
        "occurrence_id": occurrence_id,
        "scientific_name": name,
        "lineage": lineages(lineage, columns.rows),
        "common_name": columns.text("vernacularName"),
        "latitude": or_unknown(place.latitude),
        "longitude": or_unknown(place.longitude),
        "uncertainty_m": or_unknown(place.uncertainty_m),
        "observed_from": days.first,
        "observed_to": days.last,
        "licence": licence_codes(columns.text("license"), defaults.licence)[0],
        "flags": pa.array(flags, pa.int32()),
        "source_key": pa.repeat(pa.scalar(defaults.source_key, pa.string()), columns.rows),
        "row": row,
    }
    found |= {field: or_null(columns.text(term)) for field, term in _KEPT_TEXTS.items()}
    return record_table(found, columns.rows)


def record_table(found: Mapping[str, pa.Array], rows: int) -> pa.Table:
    """Columns as a table of records; a column that is not there is null in every row."""
    return pa.table(
        [
            found[field.name].cast(field.type)
            if field.name in found
            else pa.nulls(rows, field.type)
            for field in RECORD_SCHEMA
        ],
        schema=RECORD_SCHEMA,
    )


def with_columns(records: pa.Table, changed: Mapping[str, pa.Array]) -> pa.Table:
    """The records with these columns in place of their own."""
    for name, values in changed.items():
        at = records.schema.get_field_index(name)
        records = records.set_column(at, records.schema.field(at), values)
    return records


def places_of(latitude: pa.Array, longitude: pa.Array, uncertainty: pa.Array) -> Places:
    """Read columns of equal length, text or numbers; "" and null are not given."""
    (lat, lat_given), (lon, lon_given) = _numbers(latitude), _numbers(longitude)
    with np.errstate(invalid="ignore"):  # NaN is no number and lies in no range
        sound = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    zero = sound & (lat == 0) & (lon == 0)
    flags = np.where((lat_given | lon_given) & ~sound, int(Flag.COORDINATES_INVALID), 0)
    flags |= np.where(zero, int(Flag.COORDINATES_ZERO), 0)
    known = sound & ~zero
    metres, wrong = _metres(uncertainty)
    flags |= wrong
    return Places(
        np.where(known, lat, np.nan),
        np.where(known, lon, np.nan),
        np.where(known, metres, np.nan),
        flags.astype(np.int32),
    )


def _metres(uncertainty: pa.Array) -> tuple[Numbers, Flags]:
    """The uncertainty of each row, NaN where unknown, and what is wrong with it."""
    if uncertainty.type == pa.float64():
        metres, given = _numbers(uncertainty)
        with np.errstate(invalid="ignore"):  # unknown is not wrong
            sound = metres > 0
        wrong = np.where(given & ~sound, np.int32(Flag.UNCERTAINTY_INVALID), np.int32(0))
        return np.where(sound, metres, np.nan), wrong
    found = distinct(tidied(_as_text(uncertainty), clean))
    read = [uncertainty_of(text) for text in found.values]
    return (
        found.spread([metres for metres, _ in read], pa.float64()).to_numpy(),
        found.spread([int(flag) for _, flag in read], pa.int32()).to_numpy(),
    )


def days_of_column(event_date: pa.Array, as_of: date) -> Days:
    """Read a cleaned text column; `as_of` is the day on which the source was written."""
    return days_of_columns(Columns({"eventDate": event_date}, len(event_date)), as_of)


def days_of_columns(columns: Columns, as_of: date) -> Days:
    """Read the date terms; `as_of` is the day on which the source was written."""
    given = [term for term in _DATE_TERMS if term in columns]
    if given == ["eventDate"] and columns.raw("eventDate").type == pa.date32():
        return _days_of_dates(columns.raw("eventDate"), as_of)
    texts = [plain(_as_text(columns.raw(term))) for term in _DATE_TERMS]
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


def licence_codes(text: pa.Array, default: str) -> tuple[pa.Array, Passing]:
    """The licence code to store for each row, and whether the atlas recognises it."""
    found = distinct(text)
    read = [normalise_licence(value or default) for value in found.values]
    codes = found.spread([licence and licence.code for licence in read], pa.string())
    known = [licence is not None and licence.recognised for licence in read]
    return codes, passing_of(found.spread(known, pa.bool_()))


def lineages(ranks: Sequence[pa.Array], rows: int) -> pa.Array:
    """One list of names a row, from the root down."""
    if ranks and all(pa.types.is_dictionary(rank.type) for rank in ranks):
        at = ranks[0].indices
        if all(rank.indices.equals(at) for rank in ranks[1:]):
            return lineages([rank.dictionary for rank in ranks], len(ranks[0].dictionary)).take(at)
    ranks = [plain(rank) for rank in ranks]
    by_rank = np.arange(len(ranks) * rows).reshape(len(ranks), rows)
    names = pa.concat_arrays(ranks).take(pa.array(by_rank.T.ravel()))
    offsets = np.arange(rows + 1, dtype=np.int32) * len(ranks)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names)


def or_unknown(numbers: Numbers) -> pa.Array:
    """The numbers, null where they are NaN."""
    return pa.array(numbers, mask=np.isnan(numbers))


def _absent(status: str) -> str:
    return "absent" if status.casefold() == "absent" else ""


def _with_remarks(places: Places, remarks: pa.Array) -> Places:
    """The places as far as the publishers' remarks, two joined texts a row, let them be known."""
    found = distinct(remarks)
    read = [remark_of(*joined.split(_SEPARATOR, 1)) for joined in found.values]
    about = found.spread([remark.about_place for remark in read], pa.bool_())
    blurred = about.to_numpy(zero_copy_only=False)
    if not blurred.any():
        return places
    metres = found.spread([remark.uncertainty_m for remark in read], pa.float64()).to_numpy()
    square = found.spread([remark.in_square for remark in read], pa.bool_())
    in_square = square.to_numpy(zero_copy_only=False)
    stated = np.where(np.isnan(places.uncertainty_m), OBSCURED_UNCERTAINTY_M, places.uncertainty_m)
    wider = np.where(np.isnan(places.latitude), np.nan, np.maximum(metres, stated))
    latitude, longitude = snap_obscured(places.latitude, places.longitude)
    return Places(
        np.where(in_square, latitude, places.latitude),
        np.where(in_square, longitude, places.longitude),
        np.where(blurred, wider, places.uncertainty_m),
        places.flags | np.where(blurred, np.int32(Flag.LOCATION_OBSCURED), np.int32(0)),
    )


def _occurrence_ids(columns: Columns, source_key: str) -> tuple[pa.Array, Passing]:
    """The identifier of each row, and whether it had to be made from the row's content."""
    stated = columns.text("occurrenceID")
    made = is_empty(stated)
    if not made.any():
        return plain(stated), made
    ids = plain(stated).to_pylist()
    for at in np.flatnonzero(made).tolist():
        ids[at] = made_occurrence_id(source_key, identifying(columns.row(at)))
    return pa.array(ids, pa.string()), made


def _numbers(column: pa.Array) -> tuple[Numbers, Passing]:
    """The numbers of a column, NaN where it has none, and where anything at all is given."""
    kind = column.type
    if kind == pa.float64() or pa.types.is_integer(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        given = ~np.isnan(values)
        return np.where(np.isfinite(values), values, np.nan), given
    text = plain(_as_text(column))
    sound = pc.match_substring_regex(text, _PLAIN_NUMBER)
    numbers = pc.if_else(sound, text, pa.scalar(None, pa.string())).cast(pa.float64())
    values = numbers.to_numpy(zero_copy_only=False).copy()
    given = sound.to_numpy(zero_copy_only=False).copy()
    others = np.flatnonzero(~given)
    if len(others):
        found = distinct(tidied(text.take(pa.array(others)), clean))
        read = [number_of(value) for value in found.values]
        values[others] = found.spread(
            [np.nan if number is None else number for number in read], pa.float64()
        ).to_numpy()
        given[others] = found.spread([value != "" for value in found.values], pa.bool_()).to_numpy(
            zero_copy_only=False
        )
    return values, given


def _as_text(column: pa.Array) -> pa.Array:
    """A column of `Columns` as text; numbers as the shortest text that gives them back."""
    if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
        return column
    return column.cast(pa.string()).fill_null("")
