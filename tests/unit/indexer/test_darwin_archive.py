"""Darwin Core Archives: every way to write one, media of occurrences, and broken ones."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.bundle.flags import Flag
from atlas.errors import BuildError, PlanError
from indexer.records import RejectReason
from indexer.sources import archived_media
from tests.unit.indexer.archives import (
    CORE,
    DC,
    DWC,
    MEDIA,
    MULTIMEDIA,
    all_rows,
    descriptor,
    frogs,
    photo,
    source_of,
    table_xml,
    text,
    write_archive,
    write_files,
)

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "data" / "dwca"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("header_lines", [0, 1])
@pytest.mark.parametrize(
    ("delimiter", "sign", "quote", "encoding"),
    [
        ("\\t", "\t", "", "utf-8"),
        (",", ",", '"', "utf-8"),
        (";", ";", "'", "latin-1"),
        ("|", "|", "&quot;", "windows-1252"),
        ("&#9;", "\t", '"', "iso-8859-15"),
    ],
)
def test_any_way_to_write_an_archive_gives_the_same_records(
    tmp_path: Path,
    delimiter: str,
    sign: str,
    quote: str,
    encoding: str,
    header_lines: int,
    packed: bool,
) -> None:
    """Would break: an archive that follows the text guide is read as rubbish, or not at all."""
    rows = frogs(9)
    rows[3][2] = "Hyla arborea Müller, 1776" if quote else "Hyla arborea Müller"
    enclosing = {"&quot;": '"'}.get(quote, quote)
    attribute = quote.replace('"', "&quot;")
    xml = table_xml(
        "core",
        CORE,
        "data/occ.csv",
        delimiter=delimiter,
        quote=attribute,
        encoding=encoding,
        header_lines=header_lines,
    )
    table = text(CORE, rows, delimiter=sign, quote=enclosing, header=bool(header_lines))
    files = {"meta.xml": descriptor(xml), "data/occ.csv": table}
    path = write_files(tmp_path / "archive", files, packed=packed, encoding=encoding)
    records, rejects = all_rows(source_of(path, with_pictures=False))
    assert not rejects
    assert [record["occurrence_id"] for record in records] == [row[1] for row in rows]
    assert [record["scientific_name"] for record in records] == [row[2] for row in rows]
    assert [record["latitude"] for record in records] == [float(row[3]) for row in rows]
    assert [record["row"] for record in records] == list(range(1 + header_lines, 10 + header_lines))
    assert {tuple(record["lineage"]) for record in records} == {("Animalia", "Hyla", "")}


def test_defaults_stand_where_a_field_is_empty(tmp_path: Path) -> None:
    """Would break: an archive's defaults are lost, or overwrite what a row says."""
    rows = frogs(3)
    rows[1][5] = "Plantae"
    rows[2][5] = ""
    further = (
        f'<field default="Amphibia" term="{DWC}class"/>'
        f'<field default="CC_BY_4_0" term="{DC}license"/>'
    )
    xml = table_xml("core", CORE, "o.txt", further=further).replace(
        'index="5"', 'index="5" default="Fungi"'
    )
    path = write_files(tmp_path / "a", {"meta.xml": descriptor(xml), "o.txt": text(CORE, rows)})
    records, _ = all_rows(source_of(path, with_pictures=False))
    assert [record["lineage"][0] for record in records] == ["Animalia", "Plantae", "Fungi"]
    assert {record["licence"] for record in records} == {"CC-BY-4.0"}


def test_each_record_has_the_data_set_to_cite(tmp_path: Path) -> None:
    """Would break: of a download of many data sets nobody can say which to cite."""
    terms = (*CORE, DWC + "datasetID", "http://rs.gbif.org/terms/1.0/datasetKey")
    told = [("doi:10.1/a", "50c9509d"), ("doi:10.1/b", ""), ("", "")]
    rows = [[*row, *sets] for row, sets in zip(frogs(3), told, strict=True)]
    files = {"meta.xml": descriptor(table_xml("core", terms, "o.txt")), "o.txt": text(terms, rows)}
    path = write_files(tmp_path / "a", files)
    records, _ = all_rows(source_of(path, with_pictures=False))
    assert [record["dataset_key"] for record in records] == ["50c9509d", "doi:10.1/b", None]
    without = [[*row[:1], "", *row[2:]] for row in rows]
    files["o.txt"] = text(terms, without)
    made, _ = all_rows(source_of(write_files(tmp_path / "b", files), with_pictures=False))
    files["o.txt"] = text(terms, [[*row[:-1], "another"] for row in without])
    moved, _ = all_rows(source_of(write_files(tmp_path / "c", files), with_pictures=False))
    assert [one["occurrence_id"] for one in made] == [one["occurrence_id"] for one in moved]


def test_photos_are_rows_with_licences_of_their_own(tmp_path: Path) -> None:
    """Would break: a photo gets the record's licence, another's occurrence, or another's id."""
    media = [
        photo(2, "c.jpg", "http://creativecommons.org/licenses/by-nc/4.0/"),
        photo(0, "a.jpg", "CC0"),
        photo(0, "b.jpg"),
    ]
    path = write_archive(tmp_path / "a", frogs(3), media)
    records, rejects = all_rows(source_of(path, licence="CC BY 4.0"))
    found = [(r["occurrence_id"], r["media_ref"], r["media_licence"], r["row"]) for r in records]
    assert found == [
        ("o-0", "a.jpg", "CC0-1.0", 2),
        ("o-0", "b.jpg", None, 2),
        ("o-2", "c.jpg", "CC-BY-NC-4.0", 4),
    ]
    assert {record["licence"] for record in records} == {"CC-BY-4.0"}
    unknown = [bool(record["flags"] & Flag.MEDIA_LICENCE_UNKNOWN) for record in records]
    assert unknown == [False, True, False]
    assert len({record["image_id"] for record in records}) == 3
    assert [(r["reason"], r["row"]) for r in rejects] == [("no_file_named", 3)]


def test_without_spaces_every_occurrence_is_a_row_and_photos_keep_their_address(
    tmp_path: Path,
) -> None:
    """Would break: a map misses the occurrences without photos, or the atlas forgets a photo."""
    media = [
        photo(1, "https://example.org/1.jpg"),
        photo(1, "https://example.org/2.jpg"),
        photo(2, "https://example.org/song.mp3", kind="Sound"),
        photo(3, ""),
    ]
    path = write_archive(tmp_path / "a", frogs(5), media)
    records, rejects = all_rows(source_of(path, with_pictures=False))
    assert [(r["occurrence_id"], r["media_url"], r["media_ref"]) for r in records] == [
        ("o-0", None, None),
        ("o-1", "https://example.org/1.jpg", None),
        ("o-1", "https://example.org/2.jpg", None),
        ("o-2", None, None),
        ("o-3", None, None),
        ("o-4", None, None),
    ]
    assert Counter(reject["reason"] for reject in rejects) == {
        "not_an_image": 1,
        "no_file_named": 1,
    }


def test_what_cannot_be_a_row_is_refused_with_its_reason_and_line(tmp_path: Path) -> None:
    """Would break: a medium is dropped without a trace."""
    media = [
        photo(0, "a.jpg"),
        photo(1, "https://example.org/1.jpg"),
        photo(1, "../up.jpg"),
        photo(2, "film.mp4", kind="MovingImage"),
        photo(77, "stray.jpg"),
        photo(3, "3.jpg")[:-1],
    ]
    occurrences = [*frogs(4), ["4", "ragged"]]
    path = write_archive(tmp_path / "a", occurrences, media)
    records, rejects = all_rows(source_of(path))
    assert [record["media_ref"] for record in records] == ["a.jpg"]
    assert sorted((r["reason"], r["row"]) for r in rejects) == [
        ("media_not_at_hand", 3),
        ("no_file_named", 5),  # occurrence 3, whose only medium cannot be read
        ("no_such_record", 6),
        ("not_an_image", 5),
        ("path_outside_folder", 4),
        ("ragged_row", 6),
        ("ragged_row", 7),
    ]
    assert {r["reason"] for r in rejects} <= set(RejectReason)


@given(
    shown=st.lists(st.integers(0, 24), max_size=60),
    part_rows=st.integers(1, 9),
    block_rows=st.integers(1, 9),
)
def test_media_find_their_occurrences_in_any_order(
    shown: list[int], part_rows: int, block_rows: int
) -> None:
    """Would break: media in another order than the occurrences are lost or come twice."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(archived_media, "BLOCK_ROWS", block_rows)
        media = [photo(of, f"{at}.jpg") for at, of in enumerate(shown)]
        path = write_archive(Path(folder) / "a", frogs(20), media)
        records, rejects = all_rows(source_of(path, part_rows=part_rows))
    found = {record["media_ref"]: record["occurrence_id"] for record in records}
    assert len(found) == len(records)
    assert found == {f"{at}.jpg": f"o-{of}" for at, of in enumerate(shown) if of < 20}
    assert Counter(reject["reason"] for reject in rejects) == Counter(
        {
            "no_such_record": sum(of >= 20 for of in shown),
            "no_file_named": len(set(range(20)) - set(shown)),
        }
    )


def test_an_archive_without_descriptor_is_read_by_its_headers(tmp_path: Path) -> None:
    """Would break: a bare occurrence.txt, or a simple download of GBIF, is refused."""
    files = {
        "occurrence.txt": text(CORE, frogs(3)).replace("id\t", "gbifID\t", 1),
        "multimedia.txt": text(MEDIA, [photo(1, "a.jpg")]).replace("id\t", "gbifID\t", 1),
    }
    path = write_files(tmp_path / "both", files, packed=True)
    records, rejects = all_rows(source_of(path))
    assert [record["occurrence_id"] for record in records] == ["o-1"]
    assert len(rejects) == 2
    simple = write_files(
        tmp_path / "0001-24", {"0001-24.csv": files["occurrence.txt"]}, packed=True
    )
    assert len(all_rows(source_of(simple, with_pictures=False))[0]) == 3
    alone = tmp_path / "both" / "occurrence.txt"
    write_files(tmp_path / "both", files)
    assert len(all_rows(source_of(alone, with_pictures=False))[0]) == 3


def core_xml(**options: str) -> str:
    """The descriptor of a core, changed."""
    return table_xml("core", CORE, "o.txt", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ("<archive", "not readable XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><archive/>", "document type"),
        (descriptor(), "0 core tables"),
        (descriptor(core_xml(), core_xml()), "2 core tables"),
        (descriptor(core_xml(row_type=DWC + "Taxon")), "its core is Taxon"),
        (descriptor(core_xml(delimiter="||")), "delimiter"),
        (descriptor(core_xml(encoding="klingon")), "not known"),
        (descriptor(core_xml(encoding="utf-16")), "save its tables as UTF-8"),
        (descriptor(core_xml().replace("o.txt", "../o.txt")), "not inside the archive"),
        (descriptor(core_xml().replace("o.txt", "none.txt")), "cannot be read"),
        (descriptor(core_xml().replace('index="5"', 'index="50"')), "declares column 50"),
        (descriptor(core_xml().replace('index="5"', 'index="five"')), "not a number"),
        (descriptor(core_xml().replace("\\n", "\\r")), "ends its lines"),
    ],
)
def test_a_broken_descriptor_is_refused_in_words(tmp_path: Path, xml: str, words: str) -> None:
    """Would break: a broken archive ends in a stack trace, or is read as something else."""
    files = {"meta.xml": xml, "o.txt": text(CORE, frogs(2))}
    for packed in (False, True):
        path = write_files(tmp_path / "a", files, packed=packed)
        with pytest.raises(PlanError, match=words):
            source_of(path).parts()


def test_what_is_no_archive_is_refused_in_words(tmp_path: Path) -> None:
    """Would break: a wrong path, or a download that was cut off, ends in a stack trace."""
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and then nothing")
    for path, words in (
        (tmp_path / "nowhere.zip", "not there"),
        (tmp_path / "cut.zip", "not a readable zip"),
        (write_files(tmp_path / "two", {"a.csv": "x\n", "b.csv": "y\n"}), "no meta.xml"),
    ):
        with pytest.raises(PlanError, match=words):
            source_of(path).parts()


def test_a_table_of_media_that_changed_is_noticed(tmp_path: Path) -> None:
    """Would break: media of another version are given to the occurrences of this one."""
    path = write_archive(tmp_path / "a", frogs(3), [photo(0, "a.jpg")])
    source = source_of(path)
    part = source.parts()[0]
    (path / "multimedia.txt").write_text(text(MEDIA, []))
    os.utime(path / "multimedia.txt", (1, 1))
    with pytest.raises(BuildError, match="changed"):
        source.read(part)


def test_other_extensions_are_not_read(tmp_path: Path) -> None:
    """Would break: measurements are taken for photos."""
    row_type = "http://rs.tdwg.org/dwc/terms/MeasurementOrFact"
    tables = (
        table_xml("core", CORE, "o.txt"),
        table_xml("extension", MEDIA, "m.txt", row_type=MULTIMEDIA),
        table_xml("extension", MEDIA, "f.txt", row_type=row_type),
    )
    files = {
        "meta.xml": descriptor(*tables),
        "o.txt": text(CORE, frogs(1)),
        "m.txt": text(MEDIA, [photo(0, "a.jpg")]),
        "f.txt": text(MEDIA, [photo(0, "b.jpg")]),
    }
    path = write_files(tmp_path / "a", files)
    assert [record["media_ref"] for record in all_rows(source_of(path))[0]] == ["a.jpg"]


def test_a_refused_medium_is_named_by_its_table(tmp_path: Path) -> None:
    """Would break: of several tables of media nobody finds the line that was refused."""
    tables = [
        table_xml("core", CORE, "o.txt"),
        *(table_xml("extension", MEDIA, name, row_type=MULTIMEDIA) for name in ("m.txt", "n.txt")),
    ]
    files = {
        "meta.xml": descriptor(*tables),
        "o.txt": text(CORE, frogs(2)),
        "m.txt": text(MEDIA, [photo(0, "a.jpg"), photo(1, "../b.jpg")]),
        "n.txt": text(MEDIA, [photo(1, "c.jpg"), photo(0, "d.mp3", kind="Sound")]),
    }
    records, rejects = all_rows(source_of(write_files(tmp_path / "a", files)))
    assert [record["media_ref"] for record in records] == ["a.jpg", "c.jpg"]
    assert [reject["detail"].split(": ")[0] for reject in rejects] == ["m.txt:3", "n.txt:3"]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real samples are not here")
def test_real_archives() -> None:
    """Would break: a real download of GBIF is refused, loses rows, or cannot be cited."""
    path = SAMPLES / "gbif-results.zip"
    source = source_of(path, with_pictures=False, part_rows=50)
    records, rejects = all_rows(source)
    assert (len(records), len(rejects)) == (158, 0)
    assert all(len(record["dataset_key"]) == 36 for record in records)
    assert source.settings.citation.startswith("Please cite this data as follows")
    simple = source_of(SAMPLES / "dwca-simple-test-archive.zip", with_pictures=False)
    names = [record["scientific_name"] for record in all_rows(simple)[0]]
    assert names == ["tetraodon fluviatilis", "betta splendens"]
    with pytest.raises(PlanError, match="its core is Taxon"):
        source_of(SAMPLES / "dwca-star-test-archive.zip").parts()
