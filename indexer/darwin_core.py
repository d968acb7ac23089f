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
from atlas.bundle.image_ids import image_id_of
from atlas.geo.cells import place, resolution_for_uncertainty
from atlas.species.sensitive import snap_obscured
from indexer.dates import parse_event_date
from indexer.licences import normalise_licence
from indexer.records import made_occurrence_id

# The data set that a record is published in: GBIF's key goes before what the publisher wrote.
DATASET_TERMS = ("datasetKey", "datasetID")
TERMS = (
    "occurrenceID",
    "scientificName",
    "vernacularName",
    "decimalLatitude",
    "decimalLongitude",
    "coordinateUncertaintyInMeters",
    "eventDate",
    "year",
    "month",
    "day",
    "recordedBy",
    "basisOfRecord",
    "license",
    "rightsHolder",
    "references",
    "informationWithheld",
    "dataGeneralizations",
    "occurrenceStatus",
    "mediaURL",
    *DATASET_TERMS,
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
# How iNaturalist words it when it has moved a point at random within its square.
_MOVED_IN_SQUARE = re.compile(r"coordinate uncertainty increased to \d", re.IGNORECASE)
_PART_OF_DATE = re.compile(r"(\d+)(?:\.0*)?", re.ASCII)
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


class Remark(NamedTuple):
    """What a publisher's remark says of the place: blurred, how far, and within a known square."""

    about_place: bool
    uncertainty_m: float
    in_square: bool


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
        occurrence_id = made_occurrence_id(
            defaults.source_key, {**identifying(given), "file": media_ref}
        )
        flags |= Flag.OCCURRENCE_ID_MADE
    point, place_flags = _place_of(given)
    days, date_flags = days_of(date_of(given), defaults.as_of)
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
        "dataset_key": next((given[term] for term in DATASET_TERMS if given.get(term)), None),
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
    remark = remark_of(given.get("informationWithheld", ""), given.get("dataGeneralizations", ""))
    if remark.about_place:
        flags |= Flag.LOCATION_OBSCURED
        uncertainty_m = max(
            remark.uncertainty_m,
            OBSCURED_UNCERTAINTY_M if math.isnan(uncertainty_m) else uncertainty_m,
        )
    if remark.in_square:
        snapped = snap_obscured(np.array([latitude]), np.array([longitude]))
        latitude, longitude = float(snapped[0][0]), float(snapped[1][0])
    if math.isnan(latitude):
        uncertainty_m = math.nan
    return Place(latitude, longitude, uncertainty_m), flags


def remark_of(withheld: str, generalisations: str) -> Remark:
    """What `informationWithheld` and `dataGeneralizations`, cleaned, say of the place."""
    text = f"{withheld} {generalisations}"
    if not _ABOUT_PLACE.search(text):
        return Remark(about_place=False, uncertainty_m=0.0, in_square=False)
    return Remark(
        about_place=True,
        uncertainty_m=_metres_in(text),
        in_square=_MOVED_IN_SQUARE.search(text) is not None,
    )


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


def identifying(given: Mapping[str, str]) -> dict[str, str]:
    """What an id is made from: everything given, the date in one form however it was given.

    In which data set a record is published says nothing of what was seen.
    """
    parts = {"eventDate", "year", "month", "day", *DATASET_TERMS}
    return {name: text for name, text in given.items() if name not in parts} | {
        "eventDate": date_of(given)
    }


def date_of(given: Mapping[str, str]) -> str:
    """The date as written: `eventDate`, or else `year`, `month` and `day` as one ISO 8601 date.

    What is no number stays as it is, and is then found to be no date. A year of 0, as some tables
    write for an unknown one, is a number and no date of the calendar.
    """
    if given.get("eventDate") or not given.get("year"):
        return given.get("eventDate", "")
    written = ""
    for term, digits in (("year", 4), ("month", 2), ("day", 2)):
        text = given.get(term, "")
        if not text:
            break
        # Programs that read a column with gaps write 1944.0.
        number = _PART_OF_DATE.fullmatch(text)
        part = f"{int(number[1]):0{digits}}" if number else text
        written = f"{written}-{part}" if written else part
    return written


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
