"""Photos that repeat another are grouped in the catalog: every one, behind one that it is like."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from PIL import Image

from atlas.bundle.bundle import Bundle
from atlas.bundle.flags import Flag
from atlas.bundle.manifest import Manifest
from atlas.bundle.segment import vectors_name
from indexer.progress import Silent
from indexer.remove import remove
from indexer.tables import duplicates
from tests.factories import make_record, write_plan
from tests.unit.indexer.ready import built

Row = dict[str, Any]
COSINE = 0.9


def draw_photos(folder: Path, seed: int = 3) -> Path:
    """Bursts of photos, some near-identical, some files twice; returns the table.

    Five observers at two places on two days: what one photographs in a minute, and the same file
    under other names, by the same person and by others.
    """
    rng = np.random.default_rng(seed)
    (folder / "photos").mkdir(parents=True)
    views = [rng.integers(0, 256, (3, 3, 3), dtype=np.uint8) for _ in range(4)]
    rows: list[Row] = []
    for number in range(90):
        row = make_record(number, rng)
        observer, place, day = (int(rng.integers(count)) for count in (4, 2, 2))
        row |= {
            "occurrenceID": f"urn:test:{number}",
            "decimalLatitude": f"{10.42 + place}",
            "decimalLongitude": "-84.0",
            "coordinateUncertaintyInMeters": "25",
            "eventDate": f"2024-05-0{day + 1}",
            "recordedBy": f"Observer {observer}" if observer else "",
            "mediaLicense": "CC0",
        }
        path = folder / row["file"]
        if number > 10 and rng.random() < 0.15:
            earlier = rows[int(rng.integers(len(rows)))]
            path.write_bytes((folder / earlier["file"]).read_bytes())
        else:
            noise = rng.integers(0, 40, (3, 3, 3))
            pixels = np.clip(views[number % 4].astype(int) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC).save(path)
        rows.append(row)
    with (folder / "records.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "records.csv"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The plan of a bundle of two segments, which is built."""
    folder = tmp_path_factory.mktemp("duplicates")
    draw_photos(folder / "photos")
    path = write_plan(
        folder / "plan.toml",
        photos=folder / "photos",
        model=tiny_model,
        bundle=folder / "bundle",
        duplicates=f"burst_cosine = {COSINE}\nburst_rows = 20",
        index="exact_below = 1000\nsegment_rows = 50",
    )
    built(path)
    return path


def stored(root: Path) -> tuple[Manifest, list[Row], npt.NDArray[np.float64]]:
    """The living rows of a bundle by row id, with their flags of today, and all vectors."""
    bundle = Bundle.open(root)
    with duckdb.connect(str(root / bundle.manifest.catalog), read_only=True) as connection:
        found = connection.execute(
            "SELECT * FROM image JOIN image_identity USING (row_id) ORDER BY row_id"
        )
        names = [column[0] for column in found.description]
        images = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    checksums: dict[str, str] = {}
    vectors = []
    for entry in bundle.manifest.segments:
        folder = root / "segments" / entry.name
        table = pq.read_table(folder / "rows.parquet").to_pylist()
        checksums |= {row["image_id"]: row["media_sha256"] for row in table}
        vectors.append(np.fromfile(folder / vectors_name("tiny"), np.float16).reshape(-1, 24))
    for image in images:
        image["sha256"] = checksums[str(image["image_id"])]
    return bundle.manifest, images, np.concatenate(vectors).astype(np.float64)


def groups_of(root: Path, least: float, near_rows: int) -> dict[int, tuple[int, str]]:
    """For each row the one it repeats and why, by the definition, one pair after the other."""
    manifest, images, vectors = stored(root)
    copies = {i["row_id"] for i in images if i["flags"] & Flag.DUPLICATE_PICTURE}
    segment_of = {
        row: entry.name
        for entry in manifest.segments
        for row in range(entry.first_row, entry.first_row + entry.rows)
    }

    def burst(image: Row) -> tuple[object, ...] | None:
        if image["cell"] is None or image["observer_id"] == 0 or image["row_id"] in copies:
            return None
        keys = ("taxon_id", "cell", "observed_from", "observer_id")
        return (segment_of[image["row_id"]], *(image[key] for key in keys))

    behind: dict[int, tuple[int, str]] = {}
    for at, image in enumerate(images):
        if burst(image) is None or image["row_id"] in behind:
            continue
        own = vectors[image["row_id"]] / np.linalg.norm(vectors[image["row_id"]])
        for other in images[at + 1 :]:
            apart = other["row_id"] - image["row_id"]
            if (
                burst(other) == burst(image)
                and apart <= near_rows
                and other["row_id"] not in behind
                and vectors[other["row_id"]] @ own >= least
            ):
                behind[other["row_id"]] = (image["row_id"], "burst")
    for image in images:
        if image["row_id"] in copies:
            (first,) = (
                other["row_id"]
                for other in images
                if other["sha256"] == image["sha256"] and other["row_id"] not in copies
            )
            behind[image["row_id"]] = (behind.get(first, (first, ""))[0], "file")
    return behind


def in_catalog(root: Path) -> dict[int, tuple[int, str]]:
    """The same as the catalog has it; checks that its tables agree with one another."""
    manifest = Bundle.open(root).manifest
    with duckdb.connect(str(root / manifest.catalog), read_only=True) as connection:
        rows = connection.execute("SELECT * FROM duplicate").fetchall()
        by_first = connection.execute("SELECT * FROM duplicate_by_first").fetchall()
        ((space, groups, counted),) = connection.execute(
            "SELECT space, groups, rows FROM duplicate_rule"
        ).fetchall()
    assert rows == sorted(rows)
    assert by_first == sorted((first, row) for row, first, _ in rows)
    firsts = {first for _, first, _ in rows}
    assert (space, groups, counted) == ("tiny", len(firsts), len(firsts) + len(rows))
    return {row: (first, kind) for row, first, kind in rows}


def test_groups_equal_their_definition(plan: Path) -> None:
    """Would break: a repeated photo is not marked, or one stands behind a photo it is not like."""
    root = plan.parent / "bundle"
    found = in_catalog(root)
    assert found == groups_of(root, COSINE, 20)
    kinds = [kind for _, kind in found.values()]
    assert kinds.count("file") >= 5
    assert kinds.count("burst") >= 5
    assert not {first for first, _ in found.values()} & set(found)  # no chains
    assert len(Bundle.open(root).segments) == 2


def test_groups_do_not_depend_on_how_many_rows_are_looked_at(
    plan: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Would break: a burst is cut where one stretch of rows ends and the next begins."""
    root = plan.parent / "bundle"
    manifest = Bundle.open(root).manifest
    monkeypatch.setattr(duplicates, "CHUNK_ROWS", 3)
    segments = [
        duplicates.SegmentVectors(
            path=root / "segments" / entry.name / vectors_name("tiny"),
            first_row=entry.first_row,
            rows=entry.rows,
            dim=24,
        )
        for entry in manifest.segments
    ]
    rule = duplicates.BurstRule(space="tiny", least_cosine=COSINE, near_rows=20)
    with duckdb.connect(str(tmp_path / "c.duckdb")) as connection:
        connection.execute(f"ATTACH '{root / manifest.catalog}' AS old (READ_ONLY)")
        connection.execute("CREATE TABLE image AS SELECT * FROM old.image ORDER BY row_id")
        listed = ", ".join(
            f"'{root / 'segments' / entry.name / 'rows.parquet'}'" for entry in manifest.segments
        )
        connection.execute(f"CREATE VIEW stored AS SELECT * FROM read_parquet([{listed}])")
        duplicates.write_duplicates(connection, rule, segments)
        rows = connection.execute("SELECT row_id, first_row, kind FROM duplicate").fetchall()
    assert {row: (first, kind) for row, first, kind in rows} == in_catalog(root)


def test_a_group_outlives_its_first_photo(plan: Path, tmp_path: Path) -> None:
    """Would break: photos stand behind one that was removed, or are forgotten with it."""
    root = tmp_path / "bundle"
    shutil.copytree(plan.parent / "bundle", root)
    before = in_catalog(root)
    firsts = sorted({first for first, _ in before.values()})
    _, images, _ = stored(root)
    occurrence_of = {image["row_id"]: image["occurrence_id"] for image in images}
    remove(
        root,
        occurrence_ids=[occurrence_of[row] for row in firsts],
        licences=[],
        ignore_missing=False,
        dry_run=False,
        watcher=Silent(),
    )
    after = in_catalog(root)
    assert after == groups_of(root, COSINE, 20)
    assert after
    assert not set(firsts) & (set(after) | {first for first, _ in after.values()})


def test_an_older_catalog_has_the_usual_rule(tmp_path: Path) -> None:
    """Would break: a bundle that was built before cannot be added to."""
    with duckdb.connect(str(tmp_path / "old.duckdb")) as connection:
        connection.execute("CREATE TABLE image (row_id BIGINT)")
        assert duplicates.rule_of(connection) == duplicates.BurstRule()
    assert duplicates.groups_in(tmp_path / "old.duckdb") == (0, 0)
