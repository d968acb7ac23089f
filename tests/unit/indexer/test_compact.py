"""Compacting and pruning: fewer, sorted segments that hold what a fresh build would hold."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from atlas.bundle.bundle import Bundle
from atlas.bundle.files import sha256_of
from atlas.bundle.manifest import FileEntry, encode_json, read_current, read_manifest
from atlas.bundle.segment import PICTURE_OFFSETS, PICTURES, ROWS
from atlas.errors import BuildError
from atlas.search.curve import Curve
from indexer.build import build
from indexer.commands import indexer
from indexer.compact import compact
from indexer.plan import read_plan
from indexer.plan_sections import IndexSection, MeasureSection
from indexer.progress import Silent
from indexer.remove import remove
from indexer.stages.measure import measure_space
from tests.factories import TINY_DIM, make_photos, write_plan
from tests.full_disk import room

REMOVED = ("urn:first:2", "urn:first:9", "urn:second:4")
TABLES = (
    "image",
    "image_key",
    "image_stored_id",
    "image_by_cell",
    "taxon",
    "taxon_name",
    "occupancy",
    "licence",
    "observer",
    "occupancy_run",
    "species_cell",
    "held_back",
)


def run(*arguments: object) -> Result:
    """`indexer`, which must do what it is told."""
    result = CliRunner().invoke(indexer, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def ask(root: Path, sql: str) -> list[tuple[object, ...]]:
    """A query on the live catalog."""
    path = Bundle.open(root, "sizes").catalog_path
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def make_source(folder: Path, key: str, *, records: int, seed: int) -> Path:
    """Photos whose occurrence ids carry the source's key."""
    table = make_photos(folder / key, records=records, seed=seed)
    text = table.read_text(encoding="utf-8").replace("urn:test:", f"urn:{key}:")
    table.write_text(text, encoding="utf-8")
    return table


def plan_of(folder: Path, name: str, model: Path, keys: tuple[str, ...], **settings: str) -> Path:
    """A plan of some of the sources; its bundle has its name."""
    settings = {"rejects": "max_share = 0.9"} | settings
    plan = write_plan(
        folder / f"{name}.toml",
        photos=folder / "PHOTOS",
        model=model,
        bundle=folder / name,
        **settings,
    )
    head, rest = plan.read_text().split("[[sources]]")
    source, tail = rest.split("[[spaces]]")
    sources = [
        source.replace("PHOTOS", key).replace('key = "tiny"', f'key = "{key}"') for key in keys
    ]
    plan.write_text(f"{head}[[sources]]{'[[sources]]'.join(sources)}[[spaces]]{tail}")
    return plan


def without(table: Path, occurrences: tuple[str, ...]) -> None:
    """Take records out of a table."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["occurrenceID"] not in occurrences)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Two sources, and a bundle of two additions and a removal, of 12 to 15 rows a segment."""
    folder = tmp_path_factory.mktemp("world")
    make_source(folder, "first", records=30, seed=1)
    make_source(folder, "second", records=24, seed=2)
    index = {"index": "segment_rows = 15", "cells": "species_resolutions = [2, 5]"}
    build(read_plan(plan_of(folder, "lived", tiny_model, ("first",), **index)), Silent())
    addition = plan_of(folder, "addition", tiny_model, ("second",), **index)
    run("add", addition, "--to", folder / "lived", "--quiet")
    chosen = [part for name in REMOVED for part in ("--occurrence-id", name)]
    run("remove", folder / "lived", *chosen)
    return folder


@pytest.fixture
def lived(world: Path, tmp_path: Path) -> Path:
    """A copy of the bundle and its sources that a test may change."""
    for name in ("first", "second"):
        shutil.copytree(world / name, tmp_path / name)
    return Path(shutil.copytree(world / "lived", tmp_path / "lived"))


def vectors_by_image(root: Path) -> dict[object, bytes]:
    """The stored vector of every image that counts."""
    opened = Bundle.open(root)
    stored = np.concatenate([segment.vectors("tiny") for segment in opened.segments])
    return {
        image: stored[int(str(row))].tobytes()
        for image, row in ask(root, "SELECT image_id, row_id FROM image_identity")
    }


def test_equals_a_fresh_build(lived: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Same rows in the same order with the same bytes, or compacting has changed something."""
    before = vectors_by_image(lived)
    result = run("compact", lived, "--segment-rows", 40, "--quiet")
    assert "in 2 segments, live" in result.output
    assert vectors_by_image(lived) == before
    for key in ("first", "second"):
        without(tmp_path / key / "records.csv", REMOVED)
    fresh_plan = plan_of(
        tmp_path,
        "fresh",
        tiny_model,
        ("first", "second"),
        index="segment_rows = 40",
        cells="species_resolutions = [2, 5]",
    )
    build(read_plan(fresh_plan), Silent())
    opened, fresh = Bundle.open(lived), Bundle.open(tmp_path / "fresh")
    assert opened.living_rows == opened.manifest.rows == fresh.manifest.rows
    for mine, other in zip(opened.manifest.segments, fresh.manifest.segments, strict=True):
        for name in (ROWS, PICTURES, PICTURE_OFFSETS, "tombstones.roar"):
            files = [
                (root / "segments" / entry.name / name).read_bytes()
                for root, entry in ((lived, mine), (tmp_path / "fresh", other))
            ]
            assert files[0] == files[1], name
    for table in TABLES:
        sql = f"SELECT * FROM {table}"
        assert ask(lived, sql) == ask(tmp_path / "fresh", sql), table
    # Another batch moves a vector of the model in its last bits.
    for mine_of, other_of in zip(opened.segments, fresh.segments, strict=True):
        assert np.allclose(mine_of.vectors("tiny"), other_of.vectors("tiny"), atol=2e-3)


def test_too_little_recall_stops(lived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not found well enough must not be served, and what was served stays."""

    def measured(*arguments: Any, **options: Any) -> Curve:
        curve = measure_space(*arguments, **options)
        points = tuple(msgspec.structs.replace(point, recall=0.9) for point in curve.points)
        return msgspec.structs.replace(curve, points=points)

    monkeypatch.setattr("indexer.recall.measure_space", measured)
    result = CliRunner().invoke(indexer, ["compact", str(lived), "--quiet"])
    assert result.exit_code == 1
    assert "is 0.9000, below 0.95" in result.stderr
    assert Bundle.open(lived).manifest.number == 3


@pytest.mark.parametrize("older", ["one", "all"])
def test_segments_from_before_data_sets_were_kept_are_compacted(lived: Path, older: str) -> None:
    """A bundle of an older indexer must live on, also beside rows that a newer one added."""
    current = read_current(lived)
    manifest = read_manifest(current)
    entries = {entry.path: entry for entry in manifest.files}
    segments = sorted((lived / "segments").iterdir())
    for segment in segments[:1] if older == "one" else segments:
        path = segment / ROWS
        pq.write_table(pq.read_table(path).drop_columns("dataset_key"), path)
        name = path.relative_to(lived).as_posix()
        entries[name] = FileEntry(path=name, size_bytes=path.stat().st_size, sha256=sha256_of(path))
    manifest = msgspec.structs.replace(manifest, files=tuple(entries.values()))
    current.write_bytes(encode_json(manifest))
    before = ask(lived, "SELECT image_id FROM image_identity ORDER BY image_id")
    run("compact", lived, "--quiet")
    assert ask(lived, "SELECT image_id FROM image_identity ORDER BY image_id") == before
    assert ask(lived, "SELECT DISTINCT dataset_key FROM image") == [(None,)]


def test_compact_already(lived: Path) -> None:
    """A second run has nothing to do, and says so."""
    run("compact", lived, "--segment-rows", 40, "--quiet")
    again = run("compact", lived, "--segment-rows", 40, "--quiet")
    assert "nothing to do" in again.output
    assert Bundle.open(lived).manifest.number == 4
    assert not lived.with_name("lived.work").joinpath("compact").exists()


def test_pictures_stay_with_their_rows(lived: Path) -> None:
    """A picture under another row's credit is the worst that an atlas can show."""

    def pictures() -> dict[object, object]:
        opened = Bundle.open(lived)
        rows = ask(lived, "SELECT image_id, row_id FROM image_identity")
        return {image: opened.picture(int(str(row))) for image, row in rows}

    before = pictures()
    assert any(before.values())
    run("compact", lived, "--quiet")
    assert pictures() == before


@pytest.mark.slow
def test_the_trained_index_stays(tmp_path: Path, tiny_model: Path) -> None:
    """Rows are put into the same lists again; nothing is trained on what is left."""
    make_source(tmp_path, "first", records=290, seed=1)
    settings = {
        "index": 'segment_rows = 100\nexact_below = 10\nfactory = "IVF2,SQ8"',
        "measure": "recall_target = 0.5",
    }
    root = tmp_path / "lived"
    build(read_plan(plan_of(tmp_path, "lived", tiny_model, ("first",), **settings)), Silent())
    coarse = (root / "spaces" / "tiny" / "coarse.faiss").read_bytes()
    run("remove", root, "--occurrence-id", "urn:first:2")
    run("compact", root, "--recall-target", "0.5", "--quiet")
    assert (root / "spaces" / "tiny" / "coarse.faiss").read_bytes() == coarse
    (segment,) = Bundle.open(root).segments
    index = segment.index("tiny")
    assert index is not None
    assert index.ntotal == segment.rows == len(segment.list_numbers("tiny"))


def test_prune_keeps_what_is_live(lived: Path) -> None:
    """Only files of states that went before go; one file too many would end the atlas."""
    stranger = lived / "README.txt"
    stranger.write_text("not ours")
    orphan = lived / "segments" / "0099" / "rows.parquet"
    orphan.parent.mkdir()
    orphan.write_bytes(b"left by a killed build")
    listed = run("prune", lived, "--dry-run").output
    assert orphan.exists()
    result = run("prune", lived)
    assert result.output.replace("deleted", "would be deleted") == listed
    assert not orphan.parent.exists()
    assert stranger.exists()
    opened = Bundle.open(lived)
    named = {entry.path for entry in opened.manifest.files}
    left = {path.relative_to(lived).as_posix() for path in lived.rglob("*") if path.is_file()}
    assert left - named == {"CURRENT", "manifest-000003.json", "README.txt"}
    assert "0 files" in run("prune", lived).output


def test_compact_and_prune_free_the_bytes(lived: Path) -> None:
    """After a takedown the picture itself has to go, too."""
    run("compact", lived, "--prune", "--quiet")
    assert {path.name for path in (lived / "segments").iterdir()} == {
        entry.name for entry in Bundle.open(lived).manifest.segments
    }
    assert not list(lived.rglob("tombstones-*.roar"))


def test_prune_keeps_later_states(lived: Path) -> None:
    """After going back to an earlier state the later one may still be wanted."""
    (lived / "CURRENT").write_text("manifest-000002.json\n")
    run("prune", lived)
    Bundle.open(lived)
    (lived / "CURRENT").write_text("manifest-000003.json\n")
    Bundle.open(lived)
    assert not (lived / "manifest-000001.json").exists()


@pytest.mark.parametrize("change", ["compact", "remove"])
def test_a_full_disk_stops_a_change_and_names_the_file(lived: Path, change: str) -> None:
    """Would break: a process dies of a mapped file without room, or a state lacks its last rows."""
    before = read_current(lived)
    sources = Bundle.open(lived, "sizes").manifest.sources
    vectors = sum(source.rows_out - source.removed for source in sources) * 2 * TINY_DIM

    def changed() -> None:
        if change == "compact":
            settings = MeasureSection(queries=20, recall_target=0.0)
            compact(lived, index=IndexSection(), settings=settings, watcher=Silent())
        else:
            remove(
                lived,
                occurrence_ids=["urn:first:3"],
                licences=[],
                ignore_missing=False,
                dry_run=False,
                watcher=Silent(),
            )

    for file_bytes in (5, vectors - 1, 20_000, 200_000):
        with room(file_bytes), pytest.raises(BuildError, match=re.escape(f"{lived}")):
            changed()
        assert read_current(lived) == before
    changed()
    assert read_current(lived) != before
    Bundle.open(lived, "full")
