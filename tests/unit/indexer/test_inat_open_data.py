"""iNaturalist Open Data: every row accounted for, and what the dumps do not say outright."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from atlas.bundle.flags import Flag
from atlas.errors import PlanError
from benchmarks.inat_rows import write_dumps
from indexer.plan_sections import DEFAULT_RANKS, InatOpenDataSection
from indexer.sources.inat_open_data import InatOpenDataSource, attributions, is_obscured

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
