"""A Darwin Core Archive out of a bundle holds its records, their photos, and whom to cite."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

from atlas.bundle.flags import Flag
from tests.unit.indexer.frog_atlas import (
    as_records,
    build_archive,
    exported,
    stored,
    table_of,
)


def test_an_archive_is_built_again_with_the_same_records(frogs: Path, tmp_path: Path) -> None:
    """Would break: a value, a photo or a credit is lost or changed on its way out and back in."""
    written = exported(frogs, tmp_path / "frogs.zip", "dwca")
    again = build_archive(tmp_path, tmp_path / "frogs.zip", "again")
    before, after = stored(frogs), stored(again)
    assert as_records(before) == as_records(after)
    assert {row["dataset_key"] for row in after} == {"frogs"}
    assert len(before) == written.photos == 70
    assert (written.occurrences, written.media, written.without_address) == (40, 60, 10)
    kept = Flag.RECORDED_ABSENT | Flag.LOCATION_OBSCURED | Flag.MEDIA_LICENCE_UNKNOWN
    for flag in kept:
        counts = [sum(bool(row["flags"] & flag) for row in rows) for rows in (before, after)]
        assert counts[0] == counts[1] > 0, flag
    assert sorted(row["cell"] for row in before) == sorted(row["cell"] for row in after)


def test_photos_of_one_record_share_one_occurrence(frogs: Path, tmp_path: Path) -> None:
    """Would break: a record with three photos is told of as three records, or its photos stray."""
    exported(frogs, tmp_path / "frogs.zip", "dwca")
    core, media = (table_of(tmp_path / "frogs.zip", name) for name in ("occurrence", "multimedia"))
    assert len({row["id"] for row in core}) == len(core) == 40
    of = {row["id"]: row["occurrenceID"] for row in core}
    for row in media:
        number = row["identifier"].rpartition("/")[2].partition("-")[0]
        assert of[row["coreid"]] == ("o-4" if number == "6" else f"o-{number}")
    # What the photos of a record disagree on is no property of the record.
    assert not any(
        row["rightsHolder"].startswith("Holder")
        for row in core
        if row["id"] in {row["coreid"] for row in media if row["identifier"].endswith("-2.jpg")}
    )


def test_an_archive_says_whom_to_cite_and_each_licence(frogs: Path, tmp_path: Path) -> None:
    """Would break: the data leave without their citation, or a photo under its record's licence."""
    exported(frogs, tmp_path / "frogs.zip", "dwca")
    with zipfile.ZipFile(tmp_path / "frogs.zip") as zipped:
        assert zipped.testzip() is None
        eml = ET.fromstring(zipped.read("eml.xml"))  # noqa: S314 - written here
        meta = ET.fromstring(zipped.read("meta.xml"))  # noqa: S314 - written here
        datasets = zipped.read("datasets.csv").decode().splitlines()
    assert datasets == ["datasetID,occurrences", "frogs,40"]
    assert meta.get("metadata") == "eml.xml"
    citations = [found.text for found in eml.iter("citation")]
    assert citations[1:] == ["Somebody (2020). Frogs."]
    assert citations[0] is not None
    assert citations[0].startswith('Frogs, "quoted" & <marked> (')
    core, media = (table_of(tmp_path / "frogs.zip", name) for name in ("occurrence", "multimedia"))
    assert {row["bibliographicCitation"] for row in core} == {"Somebody (2020). Frogs."}
    assert {row["license"] for row in core} == {
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "https://creativecommons.org/licenses/by/4.0/",
    }
    assert {row["license"] for row in media} == {
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "https://creativecommons.org/licenses/by-nc/4.0/",
        "",
    }
    assert sum(row["occurrenceStatus"] == "absent" for row in core) == 1
    assert sum(row["dataGeneralizations"].startswith("Location blurred") for row in core) == 1
