"""Builds from real files: every row accounted for, every credit, place and time as its table says.

Skipped where the real files are not beside the checkout.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import ExifTags, Image
from rich.console import Console

from atlas.bundle import Bundle
from atlas.catalog import Catalog, ImageRow
from atlas.search.encoder import EncoderChoice, load_encoder
from benchmarks.real import embeddings
from benchmarks.real.credit import check_credits
from benchmarks.real.plans import picture_plan, write_table
from benchmarks.real_files import Outcome, cases_of, run
from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Silent

pytestmark = pytest.mark.slow

MAX_SIDE_PX = 1024
ACCOUNTS: Mapping[str, tuple[int, int, dict[str, int]]] = {
    "crops": (55, 53, {"file_missing": 2}),
    "camera-traps": (549, 10, {"file_missing": 503, "no_file_named": 36}),
    "embeddings": (1030, 1030, {}),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the three bundles go."""
    return tmp_path_factory.mktemp("real-files")


@pytest.fixture(scope="module")
def outcomes(built: Path, shared_data: Path, tiny_model: Path) -> dict[str, Outcome]:
    """What came of each data set, by name; photos go through a tiny model."""
    model = f"local-dir:{tiny_model}"
    encoder = load_encoder(EncoderChoice(spec=model, device="cpu"))
    console = Console(file=io.StringIO(), width=150)
    ran = [run(case, shared_data, encoder, console) for case in cases_of(shared_data, built, model)]
    return {outcome.records[0]["case"]: outcome for outcome in ran}


def opened(root: Path) -> Iterator[tuple[Bundle, Catalog]]:
    """An open bundle and its catalog, closed at the end of the fixture."""
    bundle = Bundle.open(root)
    catalog = Catalog.open(bundle.catalog_path)
    yield bundle, catalog
    catalog.close()


@pytest.fixture(scope="module")
def crops(built: Path, outcomes: dict[str, Outcome]) -> Iterator[tuple[Bundle, Catalog]]:
    """The bundle of crop photos."""
    assert outcomes
    yield from opened(built / "crops" / "bundle")


@pytest.fixture(scope="module")
def camera_traps(built: Path, outcomes: dict[str, Outcome]) -> Iterator[tuple[Bundle, Catalog]]:
    """The bundle of camera-trap pictures."""
    assert outcomes
    yield from opened(built / "camera-traps" / "bundle")


def all_rows(bundle: Bundle, catalog: Catalog) -> tuple[ImageRow, ...]:
    """Every row of a bundle, by row id."""
    return catalog.images(np.arange(bundle.manifest.rows, dtype=np.int64))


@pytest.mark.parametrize("name", ACCOUNTS)
def test_every_row_is_in_the_bundle_or_refused_with_a_reason(
    name: str, built: Path, outcomes: dict[str, Outcome]
) -> None:
    """A row that is neither out nor among the rejects was lost."""
    source = outcomes[name].source
    assert (source.rows_in, source.rows_out, source.rejects) == ACCOUNTS[name]
    assert source.rows_in == source.rows_out + sum(source.rejects.values())
    bundle = Bundle.open(built / name / "bundle")
    rejects = pq.read_table(bundle.root / bundle.manifest.rejects).to_pylist()
    assert len(rejects) == sum(source.rejects.values())
    assert all(row["detail"] and row["row"] > 0 for row in rejects)


@pytest.mark.parametrize("name", ACCOUNTS)
def test_three_questions_are_answered(name: str, outcomes: dict[str, Outcome]) -> None:
    """A bundle that builds and finds nothing, or another photo before the one asked with."""
    outcome = outcomes[name]
    assert len(outcome.findings.answers) >= 3
    assert outcome.problems == []
    assert outcome.findings.answers[0].page.hits[0].score == pytest.approx(1, abs=2e-3)


def test_the_rows_refused_are_those_whose_photo_is_missing(
    built: Path, shared_data: Path, outcomes: dict[str, Outcome]
) -> None:
    """A photo refused though it is there would have lost its place in the atlas."""
    assert outcomes
    bundle = Bundle.open(built / "crops" / "bundle")
    rejects = pq.read_table(bundle.root / bundle.manifest.rejects).to_pylist()
    missing = {row["media_ref"] for row in rejects}
    assert missing == {"pear.jpg", "tomatoe.jpg"}
    assert not any((shared_data / "crops-photos-cc" / name).exists() for name in missing)


def test_every_credit_is_the_tables(crops: tuple[Bundle, Catalog], shared_data: Path) -> None:
    """A photo under another's name or licence breaks the one condition of using it."""
    table = (shared_data / "crops-photos-cc" / "LICENSE.md").read_text(encoding="utf-8")
    # Read here once more, not by the code that made the bundle.
    lines = re.findall(r"^\[`(.+?)`\].*? \| (.+?) \| (.+?) \| (\S+)$", table, re.MULTILINE)
    assert len(lines) == 55
    by_file = {file: credit for file, *credit in lines}
    rows = all_rows(*crops)
    for row in rows:
        assert row.occurrence_id is not None
        author, licence, page = by_file[Path(row.occurrence_id).name]
        assert (row.rights_holder, row.reference_url) == (author, page)
        assert row.media_licence is not None
        letters = re.sub(r"[^a-z0-9.]", "", row.media_licence.code.lower())
        said = {"CC0": "cc01.0", "Public Domain": "pdm1.0"}
        assert letters == said.get(licence, re.sub(r"[^a-z0-9.]", "", licence.lower()))
        assert row.media_type == "image/jpeg"
        assert (row.latitude, row.cell, row.observed_from) == (None, None, None)
    assert len({row.occurrence_id for row in rows}) == 53
    assert check_credits(*crops, shared_data, MAX_SIDE_PX) == []


@pytest.mark.parametrize(
    ("said", "instead", "problem"),
    [
        ("Keith Weller", "Keith Weller", None),
        ("| Fractalux |", "| Fractalus |", "author"),
        (
            "| mploscar | CC0 | https://www.pexels",
            "| mploscar | CC-BY 2.0 | https://www.pexels",
            "licence",
        ),
        ("Ananas_jardin", "Ananas_garden", "page"),
    ],
)
def test_the_check_of_credits_finds_a_wrong_one(
    crops: tuple[Bundle, Catalog],
    shared_data: Path,
    tmp_path: Path,
    said: str,
    instead: str,
    problem: str | None,
) -> None:
    """A check that never fails proves nothing."""
    folder = tmp_path / "crops-photos-cc"
    shutil.copytree(shared_data / "crops-photos-cc", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    table = folder / "LICENSE.md"
    changed = table.read_text(encoding="utf-8").replace(said, instead)
    table.write_text(changed, encoding="utf-8")
    problems = check_credits(*crops, tmp_path, MAX_SIDE_PX)
    assert len(problems) == (0 if problem is None else 1)
    assert problem is None or problem in problems[0]


def test_the_check_of_credits_finds_a_swapped_photo(
    crops: tuple[Bundle, Catalog], shared_data: Path, tmp_path: Path
) -> None:
    """The right words under the wrong picture are a wrong credit."""
    folder = tmp_path / "crops-photos-cc"
    shutil.copytree(shared_data / "crops-photos-cc", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    shutil.copyfile(folder / "lemon.jpg", folder / "lime.jpg")
    assert check_credits(*crops, tmp_path, MAX_SIDE_PX) == [
        "lime.jpg: the bundle shows another picture"
    ]


def test_camera_trap_rows_have_the_place_and_time_of_their_tables(
    camera_traps: tuple[Bundle, Catalog], shared_data: Path
) -> None:
    """A row joined to the wrong deployment would be an animal in another valley."""
    folder = shared_data / "camtrap-dp-example"

    def table(name: str, key: str) -> dict[str, dict[str, str]]:
        with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            return {row[key]: row for row in csv.DictReader(file)}

    deployments, media = table("deployments", "deploymentID"), table("media", "mediaID")
    observations = table("observations", "observationID")
    rows = all_rows(*camera_traps)
    assert len(rows) == 10
    for row in rows:
        observation = observations[str(row.occurrence_id)]
        deployment = deployments[observation["deploymentID"]]
        picture = media[observation["mediaID"]]
        assert (folder / picture["filePath"]).is_file()
        assert (row.latitude, row.longitude) == (
            float(deployment["latitude"]),
            float(deployment["longitude"]),
        )
        assert row.uncertainty_m == float(deployment["coordinateUncertainty"])
        day = date.fromisoformat(picture["timestamp"][:10])
        assert (row.observed_from, row.observed_to) == (day, day)
        assert row.scientific_name == observation["scientificName"]
        assert (row.observer or "") == deployment["setupBy"]


def test_camera_trap_rows_carry_the_packages_credit(
    camera_traps: tuple[Bundle, Catalog], shared_data: Path
) -> None:
    """Data and pictures have two licences, and the authors ask to be cited in their words."""
    package = json.loads((shared_data / "camtrap-dp-example" / "datapackage.json").read_text())
    for row in all_rows(*camera_traps):
        assert row.licence is not None
        assert row.media_licence is not None
        assert (row.licence.code, row.media_licence.code) == ("CC0-1.0", "CC-BY-4.0")
        assert row.rights_holder == "Research Institute for Nature and Forest (INBO)"
        assert row.source.citation == package["bibliographicCitation"]


def test_people_on_camera_traps_are_not_given_an_address(
    built: Path, outcomes: dict[str, Outcome]
) -> None:
    """Pictures kept private show people; to pass on their address would expose them."""
    assert outcomes
    with (built / "camera-traps" / "records.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    people = [row for row in rows if row["scientificName"] == "Homo sapiens"]
    assert len(people) == 33
    assert not any(row["mediaURL"] for row in people)
    # 453 observations on published pictures, ten of which are files and have no address.
    assert sum(bool(row["mediaURL"]) for row in rows) == 443


def test_nearest_neighbours_of_the_vectors_are_kin_as_often_as_stated(
    outcomes: dict[str, Outcome],
) -> None:
    """Vectors that were scaled, cut or put in another order would lose their neighbours."""
    numbers = outcomes["embeddings"].findings.numbers
    for rank, stated in embeddings.STATED.items():
        assert numbers[f"same_{rank}"] == pytest.approx(stated, abs=0.02)


def hosted_pictures(bundle: Bundle) -> list[bytes]:
    """Every picture that a bundle hosts."""
    pictures = [bundle.picture(row_id) for row_id in range(bundle.manifest.rows)]
    return [picture[0] for picture in pictures if picture is not None]


def metadata_of(content: bytes) -> tuple[dict[int, object], set[str]]:
    """EXIF tags of a picture, and what else it carries beside its pixels."""
    with Image.open(io.BytesIO(content)) as picture:
        return dict(picture.getexif()), {"exif", "xmp", "comment", "photoshop"} & set(picture.info)


def test_hosted_pictures_carry_no_metadata(
    crops: tuple[Bundle, Catalog], camera_traps: tuple[Bundle, Catalog]
) -> None:
    """A place in the EXIF data undoes every care taken with the record's own place."""
    for bundle, _ in (crops, camera_traps):
        pictures = hosted_pictures(bundle)
        assert len(pictures) == bundle.manifest.rows
        assert all(metadata_of(content) == ({}, set()) for content in pictures)


def test_a_photo_with_a_place_in_it_is_hosted_without(
    shared_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """The frog's photo says where it was taken; neither the picture nor the record may."""
    folder = shared_data / "frogpix-ccby"
    original = (folder / "Leuc1.jpg").read_bytes()
    with Image.open(io.BytesIO(original)) as picture:
        assert picture.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    frog = {
        "file": "Leuc1.jpg",
        "scientificName": "Dendrobates leucomelas",
        "mediaLicense": "CC-BY-4.0",
    }
    write_table(tmp_path / "records.csv", [frog], tuple(frog))
    source = {"key": "frog", "title": "Frog", "path": folder, "records": "records.csv"}
    plan = picture_plan(
        tmp_path,
        title="Frog",
        description="",
        source=source,
        model=f"local-dir:{tiny_model}",
        host=["CC-BY-4.0"],
        max_reject_share=0,
    )
    build(read_plan(plan), Silent())
    bundle = Bundle.open(tmp_path / "bundle")
    (hosted,) = hosted_pictures(bundle)
    assert metadata_of(hosted) == ({}, set())
    assert b"GPS" not in hosted
    catalog = Catalog.open(bundle.catalog_path)
    (row,) = all_rows(bundle, catalog)
    catalog.close()
    assert (row.latitude, row.longitude, row.cell) == (None, None, None)
