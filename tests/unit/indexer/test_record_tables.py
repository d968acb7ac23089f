"""Tables of records without pictures."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atlas.bundle.flags import Flag
from atlas.bundle.image_ids import image_id_of
from atlas.errors import BuildError, PictureError, PlanError
from indexer.darwin_core import Defaults, record_of, with_cells
from indexer.plan_sections import RecordsSection
from indexer.records import image_ids_of, records_table
from indexer.sources.completion import genus_of
from indexer.sources.record_tables import RecordTable
from tests.unit.indexer.tables import RANKS, sole

AS_OF = date(2024, 5, 1)
Row = dict[str, str]


def table_of(path: Path, *, part_rows: int = 1_000, **options: Any) -> RecordTable:
    """A source of the table at `path`."""
    section = RecordsSection(
        key="s", title="S", path=path, licence="CC0", **({"as_of": AS_OF} | options)
    )
    return RecordTable(section, ranks=RANKS, resolution=7, part_rows=part_rows)


def records_of(source: RecordTable) -> list[dict[str, Any]]:
    """The records of all parts."""
    return [row for part in source.parts() for row in source.read(part).records.to_pylist()]


def by_row(rows: list[Row], first: int) -> list[dict[str, Any]]:
    """What `record_of` makes of each row, less what only photos have."""
    defaults = Defaults(source_key="s", licence="CC0", media_licence="", as_of=AS_OF)
    made = [
        record_of(row, media_ref="", row=first + at, ranks=RANKS, defaults=defaults)
        for at, row in enumerate(rows)
    ]
    for record in made:
        record["flags"] &= ~Flag.MEDIA_LICENCE_UNKNOWN
        record["media_ref"] = None
    found: list[dict[str, Any]] = with_cells(records_table(made), 7).to_pylist()
    return found


def one_of(*texts: str) -> st.SearchStrategy[str]:
    """Some usual and some nasty texts of a column, or anything printable."""
    anything = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
    return st.one_of(st.sampled_from(texts), anything)


NUMBERS = ("", "0", "-0.0", "12.5", " 8 ", "+7.25", "91", "1e1", "1_0", "nan", "NA", "inf", "0.10")
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "occurrenceID": one_of("", "a", "b ", "NULL"),
            "scientificName": one_of("", "Hyla arborea", "incertae sedis", "Hyla cf. arborea"),
            "kingdom": one_of("", "Animalia"),
            "genus": one_of("", "Hyla"),
            "species": one_of("", "arborea"),
            "vernacularName": one_of("", "Laubfrosch"),
            "decimalLatitude": one_of(*NUMBERS),
            "decimalLongitude": one_of(*NUMBERS, "180.0", "-181"),
            "coordinateUncertaintyInMeters": one_of(*NUMBERS, "-5", "30000"),
            "eventDate": one_of(
                "",
                "2021-05-31",
                "2021-05-31T10:20:30Z",
                "2021-02-30T10:20",
                "2021-05-31 24:00",
                "2021-05/06",
                "2021-05-31T10:20:61+02:00",
                "1599",
                "2099-01-01",
            ),
            "year": one_of("", "0", "1944", "1944.0", "99999"),
            "month": one_of("", "5", "13", "05"),
            "day": one_of("", "7", "31", "x"),
            "recordedBy": one_of("", "Ada"),
            "license": one_of("", "CC BY 4.0", "ask me"),
            "informationWithheld": one_of(
                "", "Coordinate uncertainty increased to 28500m to protect threatened taxon"
            ),
            "dataGeneralizations": one_of("", "location rounded to 2 km"),
            "occurrenceStatus": one_of("", "PRESENT", "Absent"),
            "references": one_of("", "https://example.org/1"),
        }
    ),
    min_size=1,
    max_size=12,
)


@given(ROWS, st.booleans())
@example([{"eventDate": "\x1f", "year": "2000", "occurrenceID": "\x1f"}], True)
def test_columns_say_what_rows_say(rows: list[Row], quoted: bool) -> None:
    """Would break: a table read by columns flags, dates or places a record unlike a folder's."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            names = list(rows[0])
            writer = csv.DictWriter(file, names, quoting=csv.QUOTE_ALL if quoted else 0)
            writer.writeheader()
            writer.writerows(rows)
        found = records_of(table_of(path, delimiter=",", genus_from_name=False))
        pq.write_table(pa.Table.from_pylist(rows), Path(folder) / "t.parquet")
        packed = records_of(table_of(Path(folder) / "t.parquet", genus_from_name=False))
    assert len(found) == len(packed) == len(rows)
    expected = by_row(rows, 1)
    assert packed == expected
    lines = [record.pop("row") for record in found]
    assert lines[0] == 2
    assert found == [{k: v for k, v in record.items() if k != "row"} for record in expected]


def test_numbers_of_a_parquet_file_are_taken_as_they_are(tmp_path: Path) -> None:
    """Would break: a column of doubles loses digits, or NaN becomes a place."""
    nan, inf = float("nan"), float("inf")
    latitude = [1 / 3, nan, None, inf, 91.0, 0.0, 52.0]
    table = pa.table(
        {
            "decimallatitude": pa.array(latitude, pa.float64()),
            "decimallongitude": pa.array([0.1, nan, None, 1.0, 1.0, 0.0, 4.0], pa.float32()),
            "coordinateuncertaintyinmeters": pa.array([5, None, 5, 5, 5, 5, 0], pa.int32()),
            "scientificname": ["Hyla arborea"] * 7,
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    found = records_of(table_of(tmp_path / "t.parquet"))
    assert found[0]["latitude"] == 1 / 3
    assert found[0]["longitude"] == 0.1
    assert found[0]["uncertainty_m"] == 5.0
    places = [record["latitude"] for record in found]
    assert places == [1 / 3, None, None, None, None, None, 52.0]
    flags = [Flag(record["flags"]) & ~Flag.OCCURRENCE_ID_MADE for record in found]
    wrong = Flag.COORDINATES_INVALID
    zero, bad = Flag.COORDINATES_ZERO, Flag.UNCERTAINTY_INVALID
    assert flags == [0, 0, 0, wrong, wrong, zero, bad]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_broken_rows_cost_themselves_only(tmp_path: Path, line_end: str) -> None:
    """Would break: one ragged, undecodable or unclosed row takes others with it, or is lost."""
    lines = [
        b"occurrenceID,scientificName,decimalLatitude,decimalLongitude",
        b"a,Hyla arborea,1,2",
        b"",
        b"ragged,Hyla arborea,1",
        b"b,Rana t\xe9mporaria,1,2",
        b'c,"Hyla arborea',
        b"d,Hyla arborea,3,4",
        b'"e","Hyla, arborea",3,4',
    ]
    path = tmp_path / "t.csv"
    path.write_bytes(line_end.encode().join(lines))
    source = table_of(path, part_rows=3)
    read = [source.read(part) for part in source.parts()]
    assert [part.rows_in for part in read] == [3, 3]
    kept = [row for part in read for row in part.records.to_pylist()]
    assert [(row["occurrence_id"], row["row"]) for row in kept] == [("a", 2), ("d", 7), ("e", 8)]
    refused = [row for part in read for row in part.rejects.to_pylist()]
    assert [(row["row"], row["reason"]) for row in refused] == [
        (4, "ragged_row"),
        (5, "text_undecodable"),
        (6, "ragged_row"),
    ]
    assert all(f":{row['row']}:" in row["detail"] for row in refused)


def test_an_encoding_is_declared(tmp_path: Path) -> None:
    """Would break: a table in latin-1 is refused, or its names come out wrong."""
    path = tmp_path / "t.tsv"
    path.write_bytes('scientificName\trecordedBy\nHyla arborea\tÉrica "Z\n'.encode("latin-1"))
    assert records_of(table_of(path, encoding="latin-1"))[0]["observer"] == 'Érica "Z'
    source = table_of(path)
    (refused,) = source.read(sole(source.parts())).rejects.to_pylist()
    assert refused["reason"] == "text_undecodable"


def test_a_zip_of_one_table_is_read_like_the_table(tmp_path: Path) -> None:
    """Would break: a zip must be unpacked by hand, or its later parts begin at the wrong byte."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["occurrenceID", "scientificName", "decimalLatitude", "decimalLongitude"])
    writer.writerows([f"o{at}", "Hyla arborea", at / 7, at] for at in range(50))
    (tmp_path / "t.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    with zipfile.ZipFile(tmp_path / "t.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("folder/", "")
        packed.writestr("folder/t.csv", text.getvalue())
        packed.writestr("__MACOSX/._t.csv", b"notes")
    plain = table_of(tmp_path / "t.csv", part_rows=16)
    zipped = table_of(tmp_path / "t.zip", part_rows=16)
    assert len(zipped.parts()) == 4
    for one, other in reversed(list(zip(plain.parts(), zipped.parts(), strict=True))):
        assert plain.read(one).records.equals(zipped.read(other).records)


def test_unusable_tables_are_refused_with_their_name(tmp_path: Path) -> None:
    """Would break: a build ends in a traceback, or starts and finds nothing."""
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    (tmp_path / "good.csv").write_text("scientificName\nHyla arborea\n")
    (tmp_path / "no.zip").write_bytes(b"not a zip")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as packed:
        packed.writestr("1.csv", "a")
        packed.writestr("2.csv", "a")
    with zipfile.ZipFile(tmp_path / "parquet.zip", "w") as packed:
        packed.writestr("1.parquet", "a")
    cases: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("missing.csv", {}, "cannot be read"),
        ("t.csv", {}, "no column that the atlas reads"),
        ("no.zip", {}, "not a readable zip"),
        ("two.zip", {}, "holds 2 files"),
        ("parquet.zip", {}, "text table only"),
        ("good.csv", {"columns": {"scientificName": "Name"}}, "has no column 'Name'"),
        ("good.csv", {"columns": {"colour": "scientificName"}}, "never reads"),
        ("good.csv", {"constant": {"colour": "red"}}, "never reads"),
    )
    for name, options, problem in cases:
        with pytest.raises(PlanError, match=problem):
            table_of(tmp_path / name, **options).parts()


def test_constants_and_genus_fill_what_rows_leave_empty(tmp_path: Path) -> None:
    """Would break: a table without higher ranks gives a flat list of species, or is overwritten."""
    path = tmp_path / "t.csv"
    path.write_text(
        "Species,kingdom,genus\nHyla arborea,,\nOenanthe aquatica,Plantae,\nRana sp.,,Rana\n"
    )
    source = table_of(
        path,
        columns={"scientificName": "Species"},
        constant={"kingdom": "Animalia", "basisOfRecord": "Occurrence"},
    )
    found = records_of(source)
    assert [record["lineage"][:2] for record in found] == [
        ["Animalia", "Hyla"],
        ["Plantae", "Oenanthe"],
        ["Animalia", "Rana"],
    ]
    assert {record["basis_of_record"] for record in found} == {"Occurrence"}


@pytest.mark.parametrize(
    ("name", "genus"),
    [
        ("Hyla arborea (Linnaeus, 1758)", "Hyla"),
        ("Bombus (Pyrobombus) impatiens", "Bombus"),
        ("Canis lupus familiaris", "Canis"),
        ("Canis cf. lupus", ""),
        ("Canis sp.", ""),
        ("Aves", ""),
        ("unknown bird", ""),
        ("", ""),
    ],
)
def test_a_genus_is_taken_from_sound_names_only(name: str, genus: str) -> None:
    """Would break: a genus called "unknown" enters the tree, or a species hangs at its class."""
    assert genus_of(name) == genus


def test_ids_made_together_are_those_made_one_by_one() -> None:
    """Would break: a table read anew gives other image ids, and links to its records die."""
    ids = ["a", "", "urn:é", "x" * 300]
    files = ["", "a.jpg", "é.png", "", *[""] * len(ids)][: len(ids)]
    made = image_ids_of("s", pa.array(ids), pa.array(files)).to_pylist()
    assert made == [image_id_of("s", one, file) for one, file in zip(ids, files, strict=True)]
    assert len(image_ids_of("s", pa.array([], pa.string()))) == 0


def test_there_are_no_pictures_and_no_stale_files(tmp_path: Path) -> None:
    """Would break: a picture is looked for on disk, or two versions of a table are mixed."""
    path = tmp_path / "t.csv"
    path.write_text("scientificName\nHyla arborea\n")
    source = table_of(path)
    part = sole(source.parts())
    with pytest.raises(PictureError):
        source.picture("a.png")
    assert source.picture_stamp("a.png") == ""
    path.write_text("scientificName\nHyla arborea\nRana temporaria\n")
    with pytest.raises(BuildError, match="changed"):
        source.read(part)
