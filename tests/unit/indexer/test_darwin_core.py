"""From Darwin Core text to records: problems become flags."""

from __future__ import annotations

from datetime import date
from typing import Any

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.bundle.flags import Flag
from indexer.darwin_core import OBSCURED_UNCERTAINTY_M, TERMS, Defaults, record_of, with_cells
from indexer.records import RECORD_SCHEMA, records_table

RANKS = ("kingdom", "genus", "species")
DEFAULTS = Defaults("frogs", licence="", media_licence="", as_of=date(2024, 6, 1))
SOUND = {
    "occurrenceID": "o-1",
    "scientificName": "Hyla arborea",
    "kingdom": "Animalia",
    "genus": "Hyla",
    "species": "Hyla arborea",
    "decimalLatitude": "51.496",
    "decimalLongitude": "4.774",
    "coordinateUncertaintyInMeters": "187",
    "eventDate": "2020-05-30",
    "mediaLicense": "CC BY 4.0",
}


def record(defaults: Defaults = DEFAULTS, /, **changes: str) -> dict[str, Any]:
    """One sound record with some fields changed."""
    return record_of({**SOUND, **changes}, media_ref="a.jpg", row=2, ranks=RANKS, defaults=defaults)


def test_a_sound_row_has_no_flags_and_exact_values() -> None:
    """Would break: clean records are flagged, or their coordinates are rounded."""
    made = record()
    assert made["flags"] == 0
    assert (made["latitude"], made["longitude"]) == (51.496, 4.774)
    assert made["observed_from"] == made["observed_to"] == date(2020, 5, 30)
    assert made["media_licence"] == "CC-BY-4.0"
    assert made["lineage"] == ["Animalia", "Hyla", "Hyla arborea"]


@pytest.mark.parametrize(
    ("changes", "flag", "placed"),
    [
        ({"decimalLatitude": "91"}, Flag.COORDINATES_INVALID, False),
        ({"decimalLongitude": "-180.5"}, Flag.COORDINATES_INVALID, False),
        ({"decimalLongitude": ""}, Flag.COORDINATES_INVALID, False),
        ({"decimalLatitude": "NaN"}, Flag.COORDINATES_INVALID, False),
        ({"decimalLatitude": "51,496"}, Flag.COORDINATES_INVALID, False),
        ({"decimalLatitude": "51°29'N"}, Flag.COORDINATES_INVALID, False),
        ({"decimalLatitude": "1_0"}, Flag.COORDINATES_INVALID, False),
        ({"decimalLatitude": "1e999"}, Flag.COORDINATES_INVALID, False),
        (
            {"decimalLatitude": "0", "decimalLongitude": "-0.0"},
            Flag.COORDINATES_ZERO,
            False,
        ),
        ({"coordinateUncertaintyInMeters": "0"}, Flag.UNCERTAINTY_INVALID, True),
        ({"coordinateUncertaintyInMeters": "-5"}, Flag.UNCERTAINTY_INVALID, True),
        ({"coordinateUncertaintyInMeters": "about 5"}, Flag.UNCERTAINTY_INVALID, True),
        ({"informationWithheld": "precise location hidden"}, Flag.LOCATION_OBSCURED, True),
        ({"dataGeneralizations": "Coordinates generalized"}, Flag.LOCATION_OBSCURED, True),
        ({"eventDate": "31/05/2020"}, Flag.DATE_INVALID, True),
        ({"eventDate": "1599-12-31"}, Flag.DATE_IMPLAUSIBLE, True),
        ({"eventDate": "2024-06-02"}, Flag.DATE_IMPLAUSIBLE, True),
        ({"occurrenceID": " "}, Flag.OCCURRENCE_ID_MADE, True),
        ({"mediaLicense": ""}, Flag.MEDIA_LICENCE_UNKNOWN, True),
        ({"mediaLicense": "ask me"}, Flag.MEDIA_LICENCE_UNKNOWN, True),
        ({"occurrenceStatus": "ABSENT"}, Flag.RECORDED_ABSENT, True),
        (
            {"scientificName": "incertae sedis", "kingdom": "NA", "genus": "", "species": "null"},
            Flag.NAME_MISSING,
            True,
        ),
    ],
)
def test_each_problem_sets_its_flag_and_keeps_the_record(
    changes: dict[str, str], flag: Flag, *, placed: bool
) -> None:
    """Would break: a problem goes unmarked, or costs the whole record."""
    made = record(**changes)
    assert made["flags"] == flag
    assert (made["latitude"] is not None) == placed
    assert (made["longitude"] is not None) == placed


def test_no_coordinates_is_no_problem() -> None:
    """Would break: every museum record without a place is flagged."""
    made = record(decimalLatitude="", decimalLongitude="", coordinateUncertaintyInMeters="")
    assert made["flags"] == 0
    assert made["latitude"] is None


def test_a_year_that_is_not_over_is_plausible() -> None:
    """Would break: records dated to the current year are held back."""
    assert record(eventDate="2024")["flags"] == 0
    assert record(eventDate="1600")["flags"] == 0


@pytest.mark.parametrize(
    ("changes", "uncertainty_m"),
    [
        ({"informationWithheld": "Coordinates obscured"}, 187),
        (
            {"informationWithheld": "Location obscured", "coordinateUncertaintyInMeters": ""},
            OBSCURED_UNCERTAINTY_M,
        ),
        (
            {"informationWithheld": "Coordinate uncertainty increased to 28500m to protect"},
            28_500,
        ),
        ({"dataGeneralizations": "Georeference rounded to 50 km"}, 50_000),
        ({"informationWithheld": "Photos larger than 10 m on request"}, 187),
    ],
)
def test_obscured_places_are_as_wide_as_they_say(
    changes: dict[str, str], uncertainty_m: float
) -> None:
    """Would break: a protected place is shown finer than its publisher meant."""
    assert record(**changes)["uncertainty_m"] == uncertainty_m


def test_licences_fall_back_to_their_own_default() -> None:
    """Would break: a photo gets the licence of the data set's records."""
    defaults = DEFAULTS._replace(licence="CC0", media_licence="")
    made = record(defaults, mediaLicense="")
    assert (made["licence"], made["media_licence"]) == ("CC0-1.0", None)
    made = record(defaults._replace(media_licence="cc-by-nc"), mediaLicense="", license="CC BY 4.0")
    assert (made["licence"], made["media_licence"]) == ("CC-BY-4.0", "CC-BY-NC")


def test_ids_follow_source_occurrence_and_file() -> None:
    """Would break: ids collide between sources or occurrences, or change between builds."""
    first = record()["image_id"]
    assert record()["image_id"] == first
    assert record(eventDate="1999")["image_id"] == first
    other = [
        record(occurrenceID="o-2")["image_id"],
        record(DEFAULTS._replace(source_key="toads"))["image_id"],
        record_of(SOUND, media_ref="b.jpg", row=2, ranks=RANKS, defaults=DEFAULTS)["image_id"],
    ]
    assert len({first, *other}) == 4


def test_made_occurrence_ids_follow_the_content() -> None:
    """Would break: rows without an id are merged, or change their id on every build."""
    first = record(occurrenceID="")["occurrence_id"]
    assert first.startswith("urn:uuid:")
    assert record(occurrenceID="NA")["occurrence_id"] == first
    assert record(occurrenceID="", eventDate="1999")["occurrence_id"] != first


def test_cells_are_never_finer_than_the_uncertainty() -> None:
    """Would break: a record with 30 km of uncertainty is drawn in a cell of 1 km."""
    rows = [
        record(),
        record(coordinateUncertaintyInMeters="30000"),
        record(informationWithheld="location obscured", coordinateUncertaintyInMeters=""),
        record(decimalLatitude="", decimalLongitude=""),
        record(coordinateUncertaintyInMeters="1e12"),
    ]
    table = with_cells(records_table(rows), 7)
    assert table.schema.equals(RECORD_SCHEMA)
    cells = table["cell"].to_pylist()
    flags = table["flags"].to_pylist()
    resolutions = [
        None if cell is None else h3.get_resolution(h3.int_to_str(cell)) for cell in cells
    ]
    assert resolutions[0] == 7
    assert resolutions[1] in range(7)
    assert resolutions[2] in range(7)
    assert resolutions[3] is None
    assert resolutions[4] == 0
    assert flags[0] == 0
    assert flags[1] == Flag.UNCERTAINTY_COARSE
    assert flags[2] == Flag.UNCERTAINTY_COARSE | Flag.LOCATION_OBSCURED
    assert flags[3] == 0


@given(st.dictionaries(st.sampled_from([*TERMS, *RANKS, "mediaLicense"]), st.text(max_size=30)))
def test_no_text_raises_or_breaks_the_schema(values: dict[str, str]) -> None:
    """Would break: one odd cell in a table stops the build."""
    made = record_of(
        {name: text.encode("utf-8", "replace").decode() for name, text in values.items()},
        media_ref="a.jpg",
        row=1,
        ranks=RANKS,
        defaults=DEFAULTS,
    )
    table = with_cells(records_table([made]), 7)
    table.validate(full=True)
    assert table.schema.equals(RECORD_SCHEMA)


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_coordinates_are_read_exactly(latitude: float, longitude: float) -> None:
    """Would break: a coordinate is moved by reading it."""
    made = record(decimalLatitude=repr(latitude), decimalLongitude=repr(longitude))
    if latitude == 0 and longitude == 0:
        assert made["latitude"] is None
    else:
        assert (made["latitude"], made["longitude"]) == (latitude, longitude)
