"""A folder of images with a table."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.bundle.flags import Flag
from atlas.errors import BuildError, PictureError, PlanError
from indexer.sources.folder import FolderSource
from tests.unit.indexer.tables import FolderMaker, draw, sole


def reasons(source: FolderSource) -> dict[int, str]:
    """Reason by line, over all parts."""
    found: dict[int, str] = {}
    for part in source.parts():
        table = source.read(part).rejects
        found |= dict(zip(table["row"].to_pylist(), table["reason"].to_pylist(), strict=True))
    return found


def test_rows_that_cannot_be_used_are_refused_with_their_line(folder_source: FolderMaker) -> None:
    """Would break: a row is dropped silently, or cannot be found again in its table."""
    source = folder_source(
        b"file,scientificName,occurrenceID\n"
        b"a.jpg,Hyla arborea,1\n"
        b",Hyla arborea,2\n"
        b"../secret.jpg,Hyla arborea,3\n"
        b"/etc/passwd,Hyla arborea,4\n"
        b"b.jpg,Hyla arborea\n"
        b"c.jpg,Hyla \xff,6\n"
        b"sub/../../x.jpg,Hyla arborea,7\n"
        b".,Hyla arborea,8\n"
        b"./sub//d.jpg,Hyla arborea,9\n",
        part_rows=4,
    )
    assert reasons(source) == {
        3: "no_file_named",
        4: "path_outside_folder",
        5: "path_outside_folder",
        6: "ragged_row",
        7: "text_undecodable",
        8: "path_outside_folder",
        9: "path_outside_folder",
    }
    reads = [source.read(part) for part in source.parts()]
    assert [read.rows_in for read in reads] == [4, 4, 1]
    kept = pa.concat_tables([read.records for read in reads])
    assert kept["media_ref"].to_pylist() == ["a.jpg", "sub/d.jpg"]
    assert kept["row"].to_pylist() == [2, 10]
    refused = reads[0].rejects.to_pylist()[0]
    assert refused["occurrence_id"] == "2"
    assert refused["detail"].startswith("records.csv:3:")


def test_columns_may_have_other_names(folder_source: FolderMaker) -> None:
    """Would break: a table with its own column names has to be rewritten first."""
    source = folder_source(
        b"image;latin;LAT;decimallongitude;Familia\na.jpg;Hyla arborea;51.5;4.7;Hylidae\n",
        file_column="image",
        columns={
            "scientificName": "latin",
            "decimalLatitude": "LAT",
            "genus": "Familia",
        },
    )
    record = source.read(sole(source.parts())).records.to_pylist()[0]
    assert record["scientific_name"] == "Hyla arborea"
    assert (record["latitude"], record["longitude"]) == (51.5, 4.7)
    assert record["lineage"] == ["", "Hylidae", ""]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"file_column": "photo"}, "'photo'"),
        ({"columns": {"scientificName": "latin"}}, "'latin'"),
        ({"columns": {"scientificname": "file"}}, "never reads"),
    ],
)
def test_missing_columns_stop_the_build_at_once(
    folder_source: FolderMaker, options: dict[str, object], problem: str
) -> None:
    """Would break: a mistyped column name gives an atlas without names."""
    with pytest.raises(PlanError, match=problem):
        folder_source(b"file,species\na,b\n", **options).parts()


def test_a_missing_folder_is_named(folder_source: FolderMaker, tmp_path: Path) -> None:
    """Would break: every image is reported missing instead of the folder."""
    source = folder_source(b"file\na.jpg\n")
    (tmp_path / "photos").rmdir()
    with pytest.raises(PlanError, match="not a folder"):
        source.parts()


def test_parquet_tables_give_the_same_records_as_text(folder_source: FolderMaker) -> None:
    """Would break: typed columns (numbers, times, lists, nulls) are read otherwise than text."""
    text = folder_source(
        b"file,scientificName,decimalLatitude,decimalLongitude,eventDate,recordedBy,occurrenceID\n"
        b"a.jpg,Hyla arborea,51.496,4.774,2020-05-30 04:57:37,Ada | Bo,1\n"
        b"b.jpg,,,,,,2\n",
        as_of=date(2024, 1, 1),
    )
    table = pa.table(
        {
            "file": ["a.jpg", "b.jpg"],
            "scientificName": ["Hyla arborea", None],
            "decimalLatitude": [51.496, None],
            "decimalLongitude": [4.774, float("nan")],
            "eventDate": pa.array(
                [datetime(2020, 5, 30, 4, 57, 37, tzinfo=UTC).replace(tzinfo=None), None],
                pa.timestamp("s"),
            ),
            "recordedBy": [["Ada", "Bo"], None],
            "occurrenceID": [1, 2],
        }
    )
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, row_group_size=1)
    typed = folder_source(
        buffer.getvalue().to_pybytes(), name="records.parquet", as_of=date(2024, 1, 1)
    )
    expected = text.read(sole(text.parts())).records.drop_columns(["row"])
    read = typed.read(sole(typed.parts()))
    assert read.records["row"].to_pylist() == [1, 2]
    assert read.records.drop_columns(["row"]).equals(expected)


def test_undecodable_parquet_text_is_refused(folder_source: FolderMaker) -> None:
    """Would break: one bad byte in a column stops the build with a traceback."""
    table = pa.table({"file": pa.array([b"a.jpg", b"b\xff.jpg"], pa.binary())})
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    source = folder_source(buffer.getvalue().to_pybytes(), name="records.parquet")
    assert reasons(source) == {2: "text_undecodable"}


def test_damaged_parquet_is_named(folder_source: FolderMaker) -> None:
    """Would break: a broken download ends in a traceback."""
    with pytest.raises(PlanError, match="Parquet"):
        folder_source(b"PAR1 not really", name="records.parquet").parts()


def test_pictures_are_read_inside_the_folder_only(
    folder_source: FolderMaker, tmp_path: Path
) -> None:
    """Would break: a link in a downloaded folder publishes any file of the machine."""
    source = folder_source(b"file\na.jpg\n", max_file_bytes=5_000)
    photos = tmp_path / "photos"
    draw(photos / "a.png", (1, 2, 3))
    (photos / "big.png").write_bytes(b"x" * 5_001)
    (photos / "inside.png").symlink_to("a.png")
    (tmp_path / "secret.txt").write_text("secret")
    (photos / "outside.png").symlink_to(tmp_path / "secret.txt")
    (photos / "circle.png").symlink_to("circle.png")
    (photos / "folder.png").mkdir()
    assert source.picture("a.png") == source.picture("inside.png")
    for name, reason in {
        "outside.png": "path_outside_folder",
        "missing.png": "file_missing",
        "circle.png": "file_missing",
        "folder.png": "file_missing",
        "nul\0.png": "file_missing",
        "x" * 300: "file_missing",
        "big.png": "image_too_large",
    }.items():
        with pytest.raises(PictureError) as caught:
            source.picture(name)
        assert caught.value.reason == reason, name
    assert source.picture_stamp("a.png") != source.picture_stamp("missing.png") == ""


def test_a_table_that_changes_stops_the_build(folder_source: FolderMaker, tmp_path: Path) -> None:
    """Would break: parts of two versions of a table are mixed."""
    source = folder_source(b"file\na.jpg\n")
    part = sole(source.parts())
    (tmp_path / "records.csv").write_bytes(b"file\na.jpg\nb.jpg\n")
    with pytest.raises(BuildError, match="changed"):
        source.read(part)


def test_the_future_begins_after_the_table_was_written(
    folder_source: FolderMaker, tmp_path: Path
) -> None:
    """Would break: a build resumed on another day flags other records."""
    source = folder_source(b"file,eventDate,mediaLicense\na,2015-01-02,CC0\nb,2015-01-01,CC0\n")
    moment = datetime(2015, 1, 1, 12, tzinfo=UTC).timestamp()
    os.utime(tmp_path / "records.csv", (moment, moment))
    flags = source.read(sole(source.parts())).records["flags"].to_pylist()
    assert [bool(bits & Flag.DATE_IMPLAUSIBLE) for bits in flags] == [True, False]
