"""Quality flags of places: which records are doubtful, and which are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from atlas.bundle.flags import Flag
from atlas.errors import PlanError
from indexer.plan_sections import QualitySection
from indexer.quality.checks import QualityChecks
from indexer.quality.reference_points import KINDS, reference_points
from indexer.records import RECORD_SCHEMA

FROG = ["Animalia", "Chordata", "Amphibia", "", "", "Hyla", "Hyla arborea"]
TERN = ["Animalia", "Chordata", "Aves", "", "", "Sterna", "Sterna paradisaea"]


def records(
    *places: tuple[float | None, float | None], lineage: list[str], m: Any = None
) -> pa.Table:
    """Records of one taxon at these places."""
    rows: list[dict[str, Any]] = [
        {
            "image_id": str(at),
            "occurrence_id": str(at),
            "scientific_name": lineage[-1],
            "lineage": lineage,
            "common_name": "",
            "latitude": latitude,
            "longitude": longitude,
            "uncertainty_m": m,
            "flags": 0,
            "source_key": "s",
            "row": at,
        }
        for at, (latitude, longitude) in enumerate(places)
    ]
    return pa.Table.from_pylist(rows, RECORD_SCHEMA)


def flags_of(table: pa.Table, **settings: Any) -> list[Flag]:
    """The flags that a plan's checks add."""
    checks = QualityChecks.of(QualitySection(**settings))
    return [Flag(bits) for bits in checks.flags_of(table).tolist()]


def test_equal_coordinates_are_flagged_and_missing_ones_are_not() -> None:
    """Would break: a number entered twice counts as a place, or no place as two equal numbers."""
    table = records((12.5, 12.5), (12.5, -12.5), (12.5, 12.6), (None, None), lineage=TERN)
    assert flags_of(table) == [Flag.COORDINATES_EQUAL, Flag.COORDINATES_EQUAL, 0, 0]


@pytest.mark.parametrize(
    ("metres", "suspect"), [(301, True), (3036, True), (999, True), (9999, True), (300, False)]
)
def test_numbers_that_programs_write_are_suspect(metres: float, suspect: bool) -> None:
    """Would break: an uncertainty that nobody measured passes for one."""
    (found,) = flags_of(records((1.0, 2.0), lineage=TERN, m=metres))
    assert found == (Flag.UNCERTAINTY_SUSPECT if suspect else Flag(0))


def test_capitals_and_centroids_of_countries_are_known() -> None:
    """Would break: the points that stand for a whole country are counted where they lie.

    Brasilia and Tunis are wrong in the package that the countries come from.
    """
    table = records(
        (-10.0, -55.0),  # Brazil, as gazetteers round it
        (-15.7800, -47.9299),
        (36.8190, 10.1658),
        (52.5200, 13.4050),  # Berlin
        (52.4000, 13.0000),
        (-10.0, -54.9),
        lineage=TERN,
    )
    found = flags_of(table)
    assert found[0] == Flag.ON_COUNTRY_CENTROID
    assert found[1] == found[2] == found[3] == Flag.ON_CAPITAL
    assert found[4] == found[5] == 0


def test_country_points_can_be_left_out() -> None:
    """Would break: an atlas of cities cannot be made."""
    table = records((-10.0, -55.0), (-15.7800, -47.9299), lineage=TERN)
    assert flags_of(table, centroid_m=0, capital_m=0) == [0, 0]


def test_every_country_has_a_centroid_and_a_capital() -> None:
    """Would break: a new version of the package loses its coordinates, and no flag says so."""
    points = reference_points(None, centroid_m=1.0, capital_m=1.0)
    kinds = {flag: int((points.flag == flag).sum()) for flag in KINDS.values()}
    assert kinds[Flag.ON_COUNTRY_CENTROID] > 400
    assert kinds[Flag.ON_CAPITAL] > 240
    assert (np.abs(points.latitude) <= 90).all()
    assert (np.abs(points.longitude) <= 180).all()


def test_a_plan_names_points_of_its_own(tmp_path: Path) -> None:
    """Would break: specimens at the museum count as finds; or the radius is not kept."""
    path = tmp_path / "points.csv"
    path.write_text(
        "kind,name,latitude,longitude,radius_m\ninstitution,Museum,41.0,2.0,100\n"
        "centroid,Province,41.5,2.5,5000\n"
    )
    table = records((41.0, 2.0), (41.0008, 2.0), (41.001, 2.0), (41.53, 2.5), lineage=TERN)
    assert flags_of(table, reference_points=path) == [
        Flag.ON_INSTITUTION,
        Flag.ON_INSTITUTION,
        0,
        Flag.ON_COUNTRY_CENTROID,
    ]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("kind,name,latitude,longitude\n", 1, "radius_m"),
        ("kind,name,latitude,longitude,radius_m\nzoo,Z,1,1,1\n", 2, "'zoo'"),
        ("kind,name,latitude,longitude,radius_m\ncapital,Z,one,1,1\n", 2, "no number"),
        ("kind,name,latitude,longitude,radius_m\ncapital,Z,1,1\n", 2, "no number"),
        ("kind,name,latitude,longitude,radius_m\ncapital,Z,91,1,1\n", 2, "no point"),
        ("kind,name,latitude,longitude,radius_m\ncapital,Z,1,nan,1\n", 2, "no point"),
        ("kind,name,latitude,longitude,radius_m\ncapital,Z,1,1,0\n", 2, "no point"),
    ],
)
def test_a_file_of_points_is_read_strictly(
    tmp_path: Path, text: str, line: int, problem: str
) -> None:
    """Would break: a slip in the file means that records are not flagged, and nobody knows."""
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(PlanError, match=problem) as caught:
        reference_points(path, centroid_m=1.0, capital_m=1.0)
    assert caught.value.line == line
    with pytest.raises(PlanError, match="cannot be read"):
        reference_points(tmp_path / "no.csv", centroid_m=1.0, capital_m=1.0)


def test_land_animals_out_at_sea_are_flagged() -> None:
    """Would break: frogs are mapped in the Atlantic; or coasts and seabirds are flagged."""
    places = ((0.0, -30.0), (38.70, -9.55), (10.3, -84.2), (None, None), (-17.8, -179.99))
    expected = [Flag.SEA_FOR_LAND_TAXON, 0, 0, 0]
    assert flags_of(records(*places, lineage=FROG))[:4] == expected
    assert flags_of(records(*places, lineage=TERN)) == [0] * 5
    assert flags_of(records(*places, lineage=TERN), land_taxa=("Aves",))[0] == expected[0]


def test_the_study_region_may_cross_the_antimeridian() -> None:
    """Would break: a wrong sign of a latitude stays on the map of a region, or Fiji leaves it."""
    table = records((21.9, -41.9), (-21.9, -41.9), (None, None), lineage=TERN)
    assert flags_of(table, region=(-60.0, -36.0, -33.0, 0.0)) == [Flag.OUTSIDE_REGION, 0, 0]
    table = records((-17.8, 179.9), (-17.8, -179.9), (-17.8, 170.0), lineage=TERN)
    assert flags_of(table, region=(177.0, -20.0, -178.0, -15.0)) == [0, 0, Flag.OUTSIDE_REGION]
    with pytest.raises(ValueError, match="region"):
        QualitySection(region=(0.0, 10.0, 1.0, -10.0))


def test_a_blurred_place_is_not_looked_at_closely() -> None:
    """Would break: the centre of an obscured record's square is flagged as two equal numbers."""
    table = records((12.5, 12.5), (-10.0, -55.0), lineage=TERN)
    blurred = table.set_column(
        table.schema.get_field_index("flags"),
        table.schema.field("flags"),
        pa.array([int(Flag.LOCATION_OBSCURED)] * 2, pa.int32()),
    )
    assert flags_of(table) == [Flag.COORDINATES_EQUAL, Flag.ON_COUNTRY_CENTROID]
    assert flags_of(blurred, region=(0.0, 0.0, 20.0, 20.0)) == [0, Flag.OUTSIDE_REGION]


def test_no_records_have_no_flags() -> None:
    """Would break: a part whose rows were all refused stops the build."""
    empty = RECORD_SCHEMA.empty_table()
    assert flags_of(empty, region=(0.0, 0.0, 1.0, 1.0)) == []
