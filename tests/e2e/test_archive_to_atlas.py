"""Archives and dumps become atlases: with a model one that finds photos, without one a map."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from atlas.bundle.bundle import Bundle
from atlas.errors import PlanError
from benchmarks.inat_rows import write_dumps
from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Silent
from tests.factories import make_tiny_model
from tests.unit.indexer.archives import frogs, photo, write_archive
from tests.unit.indexer.tables import draw

PLAN = """\
[atlas]
title = "Frogs of an archive"
[output]
bundle = "bundle"
[[sources]]
kind = "dwca"
key = "frogs"
title = "Frogs"
path = "frogs.zip"
{further}
[rejects]
max_share = 0.9
[quality]
land_taxa = []
[workers]
count = 1
"""
SPACE = """\
media_folder = "photos"
mirrors = {"https://example.org/" = "file://MIRROR/"}
[[spaces]]
name = "tiny"
encoder = "local-dir:model"
device = "cpu"
[media]
host = ["CC0-1.0"]
"""


def write(folder: Path, further: str) -> Path:
    """A packed archive of six frogs with photos of three of them, and a plan for it."""
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        draw(folder / "photos" / name, (80 * number, 40, 90))
    media = [
        photo(0, "a.png", "CC0"),
        photo(0, "https://example.org/b.png", "CC BY-NC"),
        photo(2, "https://elsewhere.org/d.png", "CC0"),
        photo(4, "c.png"),
        photo(5, "missing.png"),
        photo(99, "a.png"),
    ]
    write_archive(folder / "frogs", frogs(6), media, packed=True)
    plan = folder / "plan.toml"
    plan.write_text(PLAN.format(further=further.replace("MIRROR", str(folder / "photos"))))
    return plan


def test_photos_of_an_archive_are_embedded_and_hosted_by_their_own_licence(tmp_path: Path) -> None:
    """Would break: an archive's photos are lost between the stages, or hosted without leave."""
    make_tiny_model(tmp_path / "model")
    manifest = build(read_plan(write(tmp_path, SPACE)), Silent()).manifest
    (source,) = manifest.sources
    assert (source.kind, source.rows_in, source.rows_out) == ("dwca", 8, 3)
    assert Counter(source.rejects) == {
        "no_file_named": 2,
        "media_not_at_hand": 1,
        "no_such_record": 1,
        "file_missing": 1,
    }
    bundle = Bundle.open(tmp_path / "bundle")
    rows = pq.read_table(bundle.root / "segments" / manifest.segments[0].name / "rows.parquet")
    found = {
        (
            row["occurrence_id"],
            row["media_licence"],
            row["media_url"],
            row["media_type"] is not None,
        )
        for row in rows.to_pylist()
    }
    assert found == {
        ("o-0", "CC0-1.0", None, True),
        ("o-0", "CC-BY-NC", "https://example.org/b.png", False),
        ("o-4", None, None, False),
    }


def test_an_archive_without_a_model_is_a_map_of_all_its_records(tmp_path: Path) -> None:
    """Would break: a plan of records refuses archives, or loses occurrences without photos."""
    manifest = build(read_plan(write(tmp_path, "")), Silent()).manifest
    (source,) = manifest.sources
    assert (source.rows_in, source.rows_out, source.rejects) == (8, 7, {"no_such_record": 1})
    assert not manifest.spaces
    assert build(read_plan(tmp_path / "plan.toml"), Silent()).was_live


def test_an_archive_needs_an_encoder_where_there_is_a_space(tmp_path: Path) -> None:
    """Would break: a build reads millions of rows before it finds that it cannot embed them."""
    plan = write(tmp_path, '[[spaces]]\nname = "tiny"')
    with pytest.raises(PlanError, match="needs an encoder"):
        read_plan(plan)


def test_dumps_of_inaturalist_become_a_map_and_are_all_accounted_for(tmp_path: Path) -> None:
    """Would break: a build loses rows of the dumps between its stages, or joins them again."""
    written = write_dumps(tmp_path / "frogs.zip", 3_000, seed=1, faults=9)
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.format(further="").replace('"dwca"', '"inat_open_data"'))
    manifest = build(read_plan(plan), Silent()).manifest
    (source,) = manifest.sources
    assert source.rejects == written.refused
    assert source.rows_in == written.photos + written.bare + 9
    assert manifest.rows == source.rows_out == source.rows_in - sum(written.refused.values())
    assert build(read_plan(plan), Silent()).was_live
