"""iNaturalist Open Data: every row accounted for, and what the dumps do not say outright."""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from atlas.bundle.flags import Flag
from atlas.errors import PlanError
from benchmarks.inat_rows import write_dumps
from indexer.darwin_core import Defaults, record_of
from indexer.plan_sections import DEFAULT_RANKS, InatOpenDataSection
from indexer.sources.inat_dumps import TABLES as READ
from indexer.sources.inat_open_data import InatOpenDataSource, attributions, is_obscured
from tests.unit.indexer.test_written import flip

TABLES = {
    "taxa": "taxon_id\tancestry\trank_level\trank\tname\tactive\n"
    "1\t48460\t70\tkingdom\tAnimalia\ttrue\n"
    "2\t48460\\1\t50\tclass\tAmphibia\ttrue\n"
    "3\t48460/1/2\t20\tgenus\tHyla\ttrue\n"
    "4\t48460\\1\\2\\3\t10\tspecies\tHyla arborea\ttrue\n"
    "5\t48460/1/2/3\t10\tspecies\tHyla viridis\tfalse\n",
    "observers": 'observer_id\tlogin\tname\n1\tann\tAnn "Frog" Lee\n2\tbob\t\n',
    "observations": "observation_uuid\tobserver_id\tlatitude\tlongitude\tpositional_accuracy\t"
    "taxon_id\tquality_grade\tobserved_on\n"
    "a\t1\t52.5\t13.25\t12\t4\tresearch\t2023-04-05\n"
    "b\t2\t10.07\t-84.03\t31650\t5\tresearch\t2023-04-06\n"
    "c\t2\t\t\t\t\tcasual\t\n",
    "photos": "photo_uuid\tphoto_id\tobservation_uuid\tobserver_id\textension\tlicense\twidth\t"
    "height\tposition\n"
    "x\t30\ta\t1\tjpg\tCC-BY-NC\t1\t1\t0\n"
    "x\t4\tb\t2\tjpeg\tCC0\t1\t1\t0\n"
    "x\t31\ta\t1\tpng\tCC-BY-NC\t1\t1\t1\n",
}


def write(folder: Path, **changed: str) -> Path:
    """The four tables, some of them changed."""
    folder.mkdir(exist_ok=True)
    for name, content in (TABLES | changed).items():
        with gzip.open(folder / f"{name}.csv.gz", "wb") as file:
            file.write(content.encode())
    return folder


def source_of(
    folder: Path, *, with_pictures: bool = False, part_rows: int = 65_536, **settings: Any
) -> InatOpenDataSource:
    """A source of the tables in a folder."""
    section = InatOpenDataSection(key="inat", title="iNaturalist", path=folder, **settings)
    return InatOpenDataSource(
        section,
        ranks=DEFAULT_RANKS,
        resolution=7,
        part_rows=part_rows,
        with_pictures=with_pictures,
        max_file_bytes=1_000_000,
        scratch=folder / "scratch",
    )


def all_rows(source: InatOpenDataSource) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """Records and rejects of all parts, and the rows that came in."""
    read = [source.read(part) for part in source.parts()]
    records = [row for part in read for row in part.records.to_pylist()]
    rejects = [row for part in read for row in part.rejects.to_pylist()]
    return records, rejects, sum(part.rows_in for part in read)


def test_photos_get_their_observation_taxon_and_credit(tmp_path: Path) -> None:
    """Would break: a photo is shown under another's name, without its licence, or not at all."""
    records, rejects, _ = all_rows(source_of(write(tmp_path / "d")))
    assert not rejects
    found = [(row["row"], row["occurrence_id"], row["media_licence"]) for row in records]
    assert found == [
        (4, "b", "CC0-1.0"),
        (30, "a", "CC-BY-NC"),
        (31, "a", "CC-BY-NC"),
        (0, "c", None),
    ]
    lineage = ["Animalia", "", "Amphibia", "", "", "Hyla"]
    assert [row["lineage"] for row in records] == [
        [*lineage, "Hyla viridis"],  # inactive, and kept
        [*lineage, "Hyla arborea"],
        [*lineage, "Hyla arborea"],
        [""] * 7,
    ]
    assert [row["rights_holder"] for row in records] == [
        "bob, no rights reserved (CC0)",
        '(c) Ann "Frog" Lee, some rights reserved (CC BY-NC)',
        '(c) Ann "Frog" Lee, some rights reserved (CC BY-NC)',
        None,
    ]
    urls = [row["media_url"] for row in records]
    assert urls[0] == "https://inaturalist-open-data.s3.amazonaws.com/photos/4/medium.jpeg"
    assert urls[3] is None
    assert records[1]["observer"] == 'Ann "Frog" Lee'


def test_obscured_points_are_set_to_the_centre_of_their_square(tmp_path: Path) -> None:
    """Would break: a random point within 30 km is shown as where a threatened frog lives."""
    records, _, _ = all_rows(source_of(write(tmp_path / "d")))
    moved, plain = records[0], records[1]
    assert (moved["latitude"], moved["longitude"]) == pytest.approx((10.1, -84.1))
    assert moved["uncertainty_m"] == 31_650
    assert moved["flags"] & Flag.LOCATION_OBSCURED
    assert (plain["latitude"], plain["longitude"]) == (52.5, 13.25)
    assert not plain["flags"] & Flag.LOCATION_OBSCURED


def test_what_accuracy_an_obscured_point_has() -> None:
    """Would break: points far from the equator, whose squares are narrower, are not recognised."""
    latitude = np.array([0.1, 0.1, 60.1, 60.1, 89.9, -60.1, np.nan])
    # Diagonals of 0.2 by 0.2 degrees: 31.45 km at the equator, 24.8 km at 60 degrees.
    accuracy = np.array([31_460, 30_000, 24_900, 24_000, np.nan, 24_900, 50_000])
    found = is_obscured(latitude, accuracy.astype(np.float64)).tolist()
    assert found == [True, False, True, False, False, True, False]


def test_credits_are_worded_as_inaturalist_asks() -> None:
    """Would break: photographers are credited for a licence that they did not give."""
    licences = ["CC-BY-NC-SA", "CC-BY", "CC0", "PD", "", "CC-BY"]
    authors = ["Ann", "Bob", "Cy", "Di", "Ed", ""]
    assert attributions(pa.array(authors), pa.array(licences)).to_pylist() == [
        "(c) Ann, some rights reserved (CC BY-NC-SA)",
        "(c) Bob, some rights reserved (CC BY)",
        "Cy, no rights reserved (CC0)",
        "Di, no known copyright restrictions (public domain)",
        "(c) Ed, all rights reserved",
        "",
    ]


@pytest.mark.parametrize("with_pictures", [False, True])
def test_rows_in_are_rows_out_and_rejects(tmp_path: Path, with_pictures: bool) -> None:
    """Would break: faulty rows of the dumps vanish, or take sound ones with them."""
    written = write_dumps(tmp_path / "d", 4_000, seed=3, faults=7)
    source = source_of(tmp_path / "d", with_pictures=with_pictures, part_rows=1_000)
    records, rejects, rows_in = all_rows(source)
    refused = written.refused | ({"no_file_named": written.bare} if with_pictures else {})
    assert Counter(row["reason"] for row in rejects) == refused
    # Faulty rows of photos are among them, those of observations are not.
    assert rows_in == written.photos + written.bare + 7
    assert len(records) + len(rejects) == rows_in
    assert len({row["image_id"] for row in records}) == len(records)
    numbers = [row["row"] for row in records if row["row"]]
    assert numbers == sorted(set(numbers))
    if with_pictures:
        assert all(row["media_ref"].startswith(f"photos/{row['row']}/medium.") for row in records)


def test_the_tables_are_joined_once(tmp_path: Path) -> None:
    """Would break: a resumed build joins hundreds of millions of rows again, or other ones."""
    folder = write(tmp_path / "d")
    first = source_of(folder).parts()
    stamp = first[0].file.stat().st_mtime_ns
    assert source_of(folder).parts() == first
    assert first[0].file.stat().st_mtime_ns == stamp
    write(folder, photos=TABLES["photos"].replace("x\t4\t", "x\t5\t"))
    changed = source_of(folder)
    assert changed.parts() != first
    assert [row["row"] for row in all_rows(changed)[0]] == [5, 30, 31, 0]


@pytest.mark.parametrize("number", range(4))
def test_joined_tables_that_were_damaged_are_joined_again(tmp_path: Path, number: int) -> None:
    """Would break: rows or names that a disk changed between two runs are those of the dumps."""
    folder = write(tmp_path / "d")
    source = source_of(folder)
    wanted = all_rows(source)
    scratch = source.parts()[0].file.parent
    path = sorted(path for path in scratch.iterdir() if path.suffix in {".parquet", ".arrow"})[
        number
    ]
    content = path.read_bytes()
    flip(path)
    assert all_rows(source_of(folder)) == wanted
    assert path.read_bytes() == content


def test_photos_are_read_from_any_store(tmp_path: Path) -> None:
    """Would break: photos that lie elsewhere than beside the tables are not found."""
    folder = write(tmp_path / "d")
    (tmp_path / "store" / "4").mkdir(parents=True)
    (tmp_path / "store" / "4" / "large.jpeg").write_bytes(b"a photo")
    source = source_of(
        folder, with_pictures=True, photos=f"file://{tmp_path / 'store'}", size="large"
    )
    records = all_rows(source)[0]
    assert source.picture(records[0]["media_ref"]) == b"a photo"
    assert source.picture_stamp(records[0]["media_ref"])


@pytest.mark.parametrize("damage", ["missing", "column", "cut"])
def test_tables_that_cannot_be_used_are_refused_in_words(tmp_path: Path, damage: str) -> None:
    """Would break: a download that was cut off ends in a stack trace, or in half an atlas."""
    folder = write(tmp_path / "d")
    file = folder / "photos.csv.gz"
    if damage == "missing":
        file.unlink()
    elif damage == "column":
        write(folder, photos=TABLES["photos"].replace("license", "licence"))
    else:
        write_dumps(folder, 3_000)
        file.write_bytes(file.read_bytes()[:-5_000])
    words = {"missing": "has no photos", "column": "no column 'license'", "cut": "cannot be joined"}
    with pytest.raises(PlanError, match=words[damage]):
        source_of(folder).parts()


# Texts that a careful reader takes for a value, and such as only look like one.
_LATITUDES = ("52.5", "-0.5", "+1.5", "1e1", " 7.25", "91", "NA", "x", "1_0", "+-6", "inf", "", "0")
_ACCURACIES = ("12", "0", "-5", "12.5", "1e3", "nan", "", "abc", "00012", "31650")
_DAYS = (
    "2023-04-05",
    "2023-4-5",
    "2023-04",
    "20230405",
    "0044-03-15 (BC)",
    "infinity",
    "",
    "1500-01-01",
    "2999-01-01",
    "2023-04-05 10:00",
    "2023-02-30",
    "null",
)
_UUIDS = ("a", "0000abcd-0000-4000-8000-00000000000{}", "0000ABCD-0000-4000-8000-00000000000{}")


def _odd_rows() -> list[dict[str, str]]:
    """Observations of which one text each is unusual, by Darwin Core term."""
    usual = {
        "decimalLatitude": "10.25",
        "decimalLongitude": "20.5",
        "coordinateUncertaintyInMeters": "30",
        "eventDate": "2020-05-06",
    }
    odd = [
        *({"decimalLatitude": text} for text in _LATITUDES),
        *({"decimalLongitude": text} for text in (*_LATITUDES, "181")),
        *({"coordinateUncertaintyInMeters": text} for text in _ACCURACIES),
        *({"eventDate": text} for text in _DAYS),
        *({"occurrenceID": text.format(at)} for at, text in enumerate(_UUIDS)),
    ]
    return [
        usual | {"occurrenceID": f"{at:08x}-0000-4000-8000-000000000000"} | given
        for at, given in enumerate(odd)
    ]


@pytest.mark.parametrize("part_rows", [1, 10_000])
def test_odd_texts_say_what_they_say_row_by_row(tmp_path: Path, part_rows: int) -> None:
    """Would break: typed columns read another number, day or id than the text states, or lose it.

    Each row in a part of its own, and all of them in one, whose columns are then text.
    """
    rows = _odd_rows()
    observations = "".join(
        f"{row['occurrenceID']}\t1\t{row['decimalLatitude']}\t{row['decimalLongitude']}\t"
        f"{row['coordinateUncertaintyInMeters']}\t4\tresearch\t{row['eventDate']}\n"
        for row in rows
    )
    photos = "".join(
        f"x\t{at + 1}\t{row['occurrenceID']}\t1\tjpg\tCC0\t1\t1\t0\n" for at, row in enumerate(rows)
    )
    folder = write(
        tmp_path / "d",
        observations=TABLES["observations"].splitlines()[0] + "\n" + observations,
        photos=TABLES["photos"].splitlines()[0] + "\n" + photos,
    )
    source = source_of(folder, part_rows=part_rows, as_of=date(2024, 1, 1))
    records, rejects, _ = all_rows(source)
    assert not rejects
    defaults = Defaults("inat", "", "", date(2024, 1, 1))
    told = ("occurrence_id", "latitude", "longitude", "observed_from", "observed_to")
    for row, found in zip(rows, records, strict=True):
        moved = {"informationWithheld": "Coordinate uncertainty increased to 31650m"}
        given = row | (moved if row["coordinateUncertaintyInMeters"] == "31650" else {})
        wanted = record_of(given, media_ref="", row=0, ranks=(), defaults=defaults)
        assert [found[name] for name in told] == [wanted[name] for name in told], row
        assert found["uncertainty_m"] == pytest.approx(wanted["uncertainty_m"]), row
        unlike = Flag.UNCERTAINTY_COARSE | Flag.NAME_MISSING | Flag.MEDIA_LICENCE_UNKNOWN
        assert found["flags"] & ~unlike == wanted["flags"] & ~unlike, row
        assert found["lineage"][-1] == "Hyla arborea"


@pytest.mark.parametrize("table", ["photos", "observations", "taxa", "observers"])
def test_bytes_that_are_no_text_are_refused_in_any_column(tmp_path: Path, table: str) -> None:
    """Would break: one damaged byte in an id or a number stops the build, or takes other rows."""
    header, row = TABLES[table].splitlines()[:2]
    for at, column in enumerate(header.split("\t")):
        if column not in READ[table]:
            continue
        folder = write(tmp_path / str(at))
        fields: list[bytes] = [field.encode() for field in row.split("\t")]
        fields[at] = b"\xff\xfe"
        with gzip.open(folder / f"{table}.csv.gz", "ab") as file:
            file.write(b"\t".join(fields) + b"\n")
        records, rejects, _ = all_rows(source_of(folder))
        assert [row["reason"] for row in rejects] == ["text_undecodable"]
        assert [row["row"] for row in records] == [4, 30, 31, 0]


def test_ids_without_a_name_are_unnamed(tmp_path: Path) -> None:
    """Would break: a photo whose taxon or observer is not in the tables gets the next one's."""
    folder = write(
        tmp_path / "d",
        observations=TABLES["observations"].replace("\t4\tresearch", "\t999\tresearch"),
        observers="observer_id\tlogin\tname\n",
    )
    records, rejects, _ = all_rows(source_of(folder))
    assert not rejects
    assert {row["observer"] for row in records} == {None}
    assert [row["scientific_name"] for row in records] == ["Hyla viridis", "", "", ""]
    assert all(row["flags"] & Flag.NAME_MISSING for row in records[1:])
