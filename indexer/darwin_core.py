"""Turns one row of Darwin Core text into a record: quality problems become flags, not losses.

Knows the terms and what they may hold, not where rows come from. Pure, safe from any thread.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from atlas.bundle.flags import Flag
from atlas.geo.cells import place, resolution_for_uncertainty
from indexer.dates import parse_event_date
from indexer.licences import normalise_licence
from indexer.records import image_id_of, made_occurrence_id

TERMS = (
    "occurrenceID",
    "scientificName",
    "vernacularName",
    "decimalLatitude",
    "decimalLongitude",
    "coordinateUncertaintyInMeters",
    "eventDate",
    "recordedBy",
    "basisOfRecord",
    "license",
    "rightsHolder",
    "references",
    "informationWithheld",
    "dataGeneralizations",
    "occurrenceStatus",
    "mediaURL",
)
EARLIEST_YEAR = 1600
# iNaturalist moves an obscured record within a square of 0.2 degrees, whose diagonal at the
# equator is 31.5 km. Taken where a record is obscured and states no uncertainty.
OBSCURED_UNCERTAINTY_M = 31_500.0

# What pandas, R, Spark and SQL write for a missing value.
_EMPTY_WORDS = frozenset({"None", "none", "nan", "NaN", "null", "NULL", "<NA>", "NA", "N/A", "\\N"})
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_ABOUT_PLACE = re.compile(
    r"coordinat|locat|localit|positio|obscur|geopriva|generali[sz]|georef|blur", re.IGNORECASE
)
_METRES = re.compile(r"(\d+(?:\.\d+)?)\s*(k?)m(?:et(?:er|re)s?)?\b", re.IGNORECASE)


class Defaults(NamedTuple):
    """What a source says of rows that are silent, and when it was written."""

    source_key: str
    licence: str
    media_licence: str
    as_of: date


class Place(NamedTuple):
    """A point with its uncertainty; NaN where unknown."""

    latitude: float
    longitude: float
    uncertainty_m: float


def clean(text: str) -> str:
    """The text without surrounding or repeated blanks; "" for what means nothing at all."""
    collapsed = " ".join(text.split())
    return "" if collapsed in _EMPTY_WORDS else collapsed


def clean_name(text: str) -> str:
    """A taxon name, cleaned; "" for `incertae sedis`, which says that there is none."""
    name = clean(text)
    return "" if name.casefold() == "incertae sedis" else name


def record_of(
    values: Mapping[str, str], *, media_ref: str, row: int, ranks: Sequence[str], defaults: Defaults
) -> dict[str, Any]:
    """One record of the schema in `indexer.records`, without `cell`: see `with_cells`.

    `values` holds text by Darwin Core term or rank name, and `mediaLicense`; absent and empty mean
    the same. `media_ref` is the image's normalised path.
    """
    given = {name: clean(text) for name, text in values.items()}
    lineage = [clean_name(given.get(rank, "")) for rank in ranks]
    name = clean_name(given.get("scientificName", ""))
    flags = Flag(0) if name or any(lineage) else Flag.NAME_MISSING
    occurrence_id = given.get("occurrenceID", "")
    if not occurrence_id:
        occurrence_id = made_occurrence_id(defaults.source_key, {**given, "file": media_ref})
        flags |= Flag.OCCURRENCE_ID_MADE
    point, place_flags = _place_of(given)
    days, date_flags = days_of(given.get("eventDate", ""), defaults.as_of)
    licence, _ = _licence_code(given.get("license", "") or defaults.licence)
    media_licence, known = _licence_code(given.get("mediaLicense", "") or defaults.media_licence)
    if not known:
        flags |= Flag.MEDIA_LICENCE_UNKNOWN
    if given.get("occurrenceStatus", "").casefold() == "absent":
        flags |= Flag.RECORDED_ABSENT
    return {
        "image_id": image_id_of(defaults.source_key, occurrence_id, media_ref),
        "occurrence_id": occurrence_id,
        "scientific_name": name,
        "lineage": lineage,
        "common_name": given.get("vernacularName", ""),
        "latitude": _known(point.latitude),
        "longitude": _known(point.longitude),
        "uncertainty_m": _known(point.uncertainty_m),
        "observed_from": days[0],
        "observed_to": days[1],
        "observer": given.get("recordedBy") or None,
        "basis_of_record": given.get("basisOfRecord") or None,
        "licence": licence,
        "media_licence": media_licence,
        "rights_holder": given.get("rightsHolder") or None,
        "reference_url": given.get("references") or None,
        "media_url": given.get("mediaURL") or None,
        "media_ref": media_ref,
        "flags": int(flags | place_flags | date_flags),
        "source_key": defaults.source_key,
        "row": row,
    }


def with_cells(records: pa.Table, resolution: int) -> pa.Table:
    """Records with `cell` filled in, and flagged where their uncertainty made it coarser."""
    points = {
        name: records[name].cast(pa.float64()).to_numpy().astype(np.float64)
        for name in ("latitude", "longitude", "uncertainty_m")
    }
    cells = place(points["latitude"], points["longitude"], points["uncertainty_m"], resolution)
    placed = cells != 0
    coarse = placed & (resolution_for_uncertainty(points["uncertainty_m"], resolution) < resolution)
    flags = records["flags"].to_numpy() | np.where(coarse, int(Flag.UNCERTAINTY_COARSE), 0)
    table = _with_column(records, "cell", pa.array(cells, pa.uint64(), mask=~placed))
    return _with_column(table, "flags", pa.array(flags.astype(np.int32), pa.int32()))


def _with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def number_of(text: str) -> float | None:
    """A decimal number as written; None for anything else, `inf`, `nan` and `1_000` included."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _place_of(given: Mapping[str, str]) -> tuple[Place, Flag]:
    latitude, longitude, flags = _coordinates_of(
        given.get("decimalLatitude", ""), given.get("decimalLongitude", "")
    )
    uncertainty_m, uncertainty_flags = uncertainty_of(
        given.get("coordinateUncertaintyInMeters", "")
    )
    flags |= uncertainty_flags
    withheld = " ".join(
        (given.get("informationWithheld", ""), given.get("dataGeneralizations", ""))
    )
    if _ABOUT_PLACE.search(withheld):
        flags |= Flag.LOCATION_OBSCURED
        uncertainty_m = max(
            _metres_in(withheld),
            OBSCURED_UNCERTAINTY_M if math.isnan(uncertainty_m) else uncertainty_m,
        )
    if math.isnan(latitude):
        uncertainty_m = math.nan
    return Place(latitude, longitude, uncertainty_m), flags


def _coordinates_of(latitude_text: str, longitude_text: str) -> tuple[float, float, Flag]:
    if not latitude_text and not longitude_text:
        return math.nan, math.nan, Flag(0)
    latitude, longitude = number_of(latitude_text), number_of(longitude_text)
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return math.nan, math.nan, Flag.COORDINATES_INVALID
    if latitude == 0 and longitude == 0:
        return math.nan, math.nan, Flag.COORDINATES_ZERO
    return latitude, longitude, Flag(0)


def uncertainty_of(text: str) -> tuple[float, Flag]:
    """Metres of a cleaned text, NaN where unknown, and what is wrong with it."""
    if not text:
        return math.nan, Flag(0)
    uncertainty_m = number_of(text)
    if uncertainty_m is None or uncertainty_m <= 0:
        return math.nan, Flag.UNCERTAINTY_INVALID
    return uncertainty_m, Flag(0)


def _metres_in(text: str) -> float:
    """The widest distance that a remark names ("increased to 28500m"); 0 where it names none."""
    return max(
        (float(number) * (1000 if kilo else 1) for number, kilo in _METRES.findall(text)),
        default=0.0,
    )


def days_of(text: str, as_of: date) -> tuple[tuple[date | None, date | None], Flag]:
    """First and last day of a cleaned `eventDate`, and what is wrong with it.

    `as_of` is the day on which the source was written.
    """
    if not text:
        return (None, None), Flag(0)
    days = parse_event_date(text)
    if days is None:
        return (None, None), Flag.DATE_INVALID
    # A range such as a bare year may well reach past the day the source was written.
    implausible = days.first.year < EARLIEST_YEAR or days.first > as_of
    return (days.first, days.last), Flag.DATE_IMPLAUSIBLE if implausible else Flag(0)


def _licence_code(text: str) -> tuple[str | None, bool]:
    """The code to store, and whether it is one that the atlas recognises."""
    licence = normalise_licence(text)
    return (licence.code, licence.recognised) if licence is not None else (None, False)
