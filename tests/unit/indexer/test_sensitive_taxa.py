"""Which records are of sensitive taxa, and what is left of them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.bundle.flags import HIDDEN_PLACE, Flag
from atlas.errors import PlanError
from atlas.geo.cells import resolution_of
from indexer.darwin_core import Defaults, record_of, with_cells
from indexer.quality.sensitive_taxa import PLACE_FLAGS, SensitiveTaxa
from indexer.records import records_table
from tests.unit.indexer.tables import RANKS

PLACE = {
    "decimalLatitude": "10.123456",
    "decimalLongitude": "-84.654321",
    "coordinateUncertaintyInMeters": "12",
}


def table_of(tmp_path: Path, *lines: str) -> SensitiveTaxa:
    """A table with these rows."""
    path = tmp_path / "sensitive.csv"
    path.write_text("\n".join(["taxon,category,region", *lines]) + "\n", encoding="utf-8")
    return SensitiveTaxa.read(path)


def records(*rows: dict[str, str], flags: int = 0) -> pa.Table:
    """Records with cells of these rows, at one exact place unless they say otherwise."""
    defaults = Defaults("s", "CC0", "CC0", date(2026, 1, 1))
    made = [
        record_of(PLACE | row, media_ref=f"{at}.png", row=at, ranks=RANKS, defaults=defaults)
        for at, row in enumerate(rows)
    ]
    for record in made:
        record["flags"] |= flags
    return with_cells(records_table(made), 9)


@pytest.mark.parametrize(
    ("row", "hidden"),
    [
        ({"scientificName": "Panthera onca"}, True),
        ({"scientificName": "Panthera onca (Linnaeus, 1758)"}, True),
        ({"scientificName": "panthera  ONCA"}, True),
        ({"scientificName": "Panthera_onca"}, True),
        ({"scientificName": "Panthera onca goldmani"}, True),
        ({"scientificName": "Panthera cf. onca"}, True),
        ({"scientificName": "Panthera (Panthera) onca"}, True),
        ({"scientificName": "", "species": "Panthera onca"}, True),
        ({"scientificName": "", "genus": "Panthera", "species": "onca"}, True),
        ({"scientificName": "Some synonym", "species": "Panthera onca"}, True),
        ({"scientificName": "Panthera leo"}, False),
        ({"scientificName": "Panthera"}, False),
        ({"scientificName": "Onca panthera"}, False),
        ({"scientificName": "Panthera oncae"}, False),
    ],
)
def test_a_taxon_is_known_however_its_name_is_written(
    tmp_path: Path, row: dict[str, str], hidden: bool
) -> None:
    """Would break: an author, a subspecies or a capital letter gives a jaguar away."""
    taxa = table_of(tmp_path, "Panthera onca,0.1,")
    (found,) = taxa.hide(records(row), 9).to_pylist()
    assert bool(found["flags"] & Flag.LOCATION_GENERALISED) == hidden
    assert (found["latitude"] == 10.1) == hidden


def test_higher_taxa_cover_all_below_and_the_strictest_row_holds(tmp_path: Path) -> None:
    """Would break: a genus in the table covers no species, or a lax row overrules a strict one."""
    taxa = table_of(
        tmp_path, "Animalia,0.001,", "Panthera,0.1,", "Panthera onca,withheld,", "Panthera onca,4,"
    )
    jaguar, lion, fox, oak = taxa.hide(
        records(
            {"kingdom": "Animalia", "genus": "Panthera", "scientificName": "Panthera onca"},
            {"kingdom": "Animalia", "genus": "Panthera", "scientificName": "Panthera leo"},
            {"kingdom": "Animalia", "genus": "Vulpes", "scientificName": "Vulpes vulpes"},
            {"kingdom": "Plantae", "genus": "Quercus", "scientificName": "Quercus robur"},
        ),
        9,
    ).to_pylist()
    assert jaguar["latitude"] is jaguar["longitude"] is jaguar["cell"] is None
    assert jaguar["uncertainty_m"] is None
    assert jaguar["flags"] & HIDDEN_PLACE == Flag.LOCATION_WITHHELD
    assert (lion["latitude"], lion["longitude"], lion["uncertainty_m"]) == (10.1, -84.7, 15703.0)
    assert (fox["latitude"], fox["longitude"], fox["uncertainty_m"]) == (10.123, -84.654, 169.0)
    assert oak["latitude"] == 10.123456
    assert oak["flags"] & HIDDEN_PLACE == 0
    cells = [lion["cell"], fox["cell"], oak["cell"]]
    assert resolution_of(cells).tolist() == [4, 9, 9]
    assert lion["flags"] & Flag.UNCERTAINTY_COARSE


def test_a_region_limits_a_rule(tmp_path: Path) -> None:
    """Would break: a species that is hunted in one country is hidden in all, or in none."""
    taxa = table_of(
        tmp_path,
        'Hyla arborea,0.1,"-85, 10, -84, 11"',
        'Rana temporaria,0.1,"POLYGON ((0 0, 1 0, 1 1, 0 0))"',
    )
    names = ({"scientificName": "Hyla arborea"}, {"scientificName": "Rana temporaria"})
    hidden, shown = taxa.hide(records(*names), 9).to_pylist()
    assert hidden["latitude"] == 10.1
    assert shown["latitude"] == 10.123456


def test_nothing_else_of_the_record_tells_the_place(tmp_path: Path) -> None:
    """Would break: a made id can be tried out; a link or a flag names what the place no longer is.

    The id of two rows that differ in their place alone must not follow from the place.
    """
    telling = {
        "scientificName": "Panthera onca",
        "references": "https://example.org/map?at=10.123456,-84.654321",
        "mediaURL": "https://example.org/photo/17",
        "recordedBy": "Ada (10,1234 N)",
        "rightsHolder": "doi:10.15468/dl.abcd12",
    }
    elsewhere = telling | {"decimalLatitude": "10.133456", "references": ""}
    taxa = table_of(tmp_path, "Panthera onca,0.1,")
    one = taxa.hide(records(telling, flags=PLACE_FLAGS), 9).to_pylist()[0]
    other = taxa.hide(records(elsewhere), 9).to_pylist()[0]
    assert one["reference_url"] is one["observer"] is None
    assert one["media_url"] == "https://example.org/photo/17"
    assert one["rights_holder"] == "doi:10.15468/dl.abcd12"
    assert one["flags"] == other["flags"]
    assert one == other
    assert "123456" not in json.dumps(one, default=str)
    exact = records(telling).to_pylist()[0]
    assert one["occurrence_id"] != exact["occurrence_id"]
    assert one["image_id"] != exact["image_id"]


def test_given_ids_stay_unless_they_tell(tmp_path: Path) -> None:
    """Would break: records lose the identifiers by which their publisher knows them."""
    taxa = table_of(tmp_path, "Panthera onca,0.1,")
    jaguar = {"scientificName": "Panthera onca"}
    rows = records(
        jaguar | {"occurrenceID": "urn:catalog:MZ:17"},
        jaguar | {"occurrenceID": "MZ 10.123456 -84.654321"},
    )
    kept, made = taxa.hide(rows, 9).to_pylist()
    assert kept["occurrence_id"] == "urn:catalog:MZ:17"
    assert kept["image_id"] == rows.to_pylist()[0]["image_id"]
    assert made["occurrence_id"].startswith("urn:uuid:")


@given(st.lists(st.booleans(), max_size=20))
def test_order_and_other_records_are_left_alone(which: list[bool]) -> None:
    """Would break: hiding some rows shuffles all, and vectors belong to other records."""
    rows = [{"scientificName": "Panthera onca" if one else "Vulpes vulpes"} for one in which]
    table = records(*rows)
    taxa = SensitiveTaxa(rules=SensitiveTaxa.read(_table()).rules)
    found = taxa.hide(table, 9)
    assert found["row"].to_pylist() == table["row"].to_pylist()
    assert found.schema == table.schema
    for before, after, hidden in zip(table.to_pylist(), found.to_pylist(), which, strict=True):
        assert (before == after) != hidden


def _table() -> Path:
    return Path(__file__).with_name("sensitive_example.csv")


def test_without_a_table_nothing_is_hidden() -> None:
    """Would break: an atlas without sensitive taxa loses its places."""
    table = records({"scientificName": "Panthera onca"})
    assert SensitiveTaxa.read(None).hide(table, 9) is table


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Panthera onca,5,", "'5'"),
        ("Panthera onca,,", "''"),
        (",0.1,", "names no taxon"),
        ("Panthera onca,0.1,1 2 3", "neither a box nor WKT"),
        ("Panthera onca,0.1,POINT (1 2)", "neither a box nor WKT"),
        ("Panthera onca,0.1,CIRCLE (1 2)", "neither a box nor WKT"),
        ("Panthera onca,0.1,1,2,3,4", "in quotes"),
        ("Panthera onca,0.1,1 95 2 99", "neither a box nor WKT"),
    ],
)
def test_a_table_is_read_strictly(tmp_path: Path, line: str, problem: str) -> None:
    """Would break: a slip in the table publishes the place that it was to hide."""
    with pytest.raises(PlanError, match=problem) as caught:
        table_of(tmp_path, "Vulpes vulpes,0.1,", line)
    assert caught.value.line == 3


def test_a_missing_table_or_column_is_named(tmp_path: Path) -> None:
    """Would break: a build without its table goes on, and hides nothing."""
    with pytest.raises(PlanError, match="cannot be read"):
        SensitiveTaxa.read(tmp_path / "no.csv")
    (tmp_path / "t.csv").write_text("name,category\na,1\n")
    with pytest.raises(PlanError, match="'taxon'"):
        SensitiveTaxa.read(tmp_path / "t.csv")
