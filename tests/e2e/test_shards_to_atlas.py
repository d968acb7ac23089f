"""TreeOfLife shards become an atlas: broken pictures refused, broken shards never in a bundle."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import CURRENT
from atlas.errors import PlanError
from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Silent
from tests.unit.indexer.shards import (
    catalog_row,
    jpeg,
    sample,
    samples,
    uuid_of,
    write_catalog,
    write_image_table,
    write_provenance,
    write_tar,
)

PLAN = """\
[atlas]
title = "Shards"
[output]
bundle = "bundle"
[[sources]]
kind = "tree_of_life"
key = "tol"
title = "Tree of life"
path = "tol"
[[spaces]]
name = "tiny"
encoder = "local-dir:{model}"
device = "cpu"
[media]
host = ["CC-BY-4.0"]
[rejects]
max_share = 0.5
[parts]
rows = 5
[workers]
count = 1
"""


def write(folder: Path, model: Path) -> Path:
    """Twelve rows in two tars and a table; one picture is damaged, one empty, one missing."""
    tree = write_catalog(folder / "tol", [catalog_row(n, family=None) for n in range(12)])
    licence = "https://creativecommons.org/licenses/by/4.0/"
    write_provenance(
        tree,
        [{"uuid": uuid_of(0), "license_name": "cc-by", "license_link": licence}],
    )
    broken = [(f"{uuid_of(4)}.jpg", jpeg(4)[:300]), (f"{uuid_of(5)}.jpg", b"")]
    write_tar(tree / "shards/0.tar", samples([3, 2, 1, 0]))
    write_tar(tree / "shards/1.tar", [*broken, *sample(6), *sample(50)])
    write_image_table(tree / "shards/2.parquet", [7, 8, 9, 10])
    plan = folder / "plan.toml"
    plan.write_text(PLAN.format(model=model))
    return plan


def test_every_row_and_picture_is_accounted_for(tmp_path: Path, tiny_model: Path) -> None:
    """Would break: pictures are lost between shard and bundle, or hosted without a licence."""
    plan = write(tmp_path, tiny_model)
    manifest = build(read_plan(plan), Silent()).manifest
    (source,) = manifest.sources
    assert (source.rows_in, source.rows_out) == (13, 9)
    assert source.rejects == {
        "image_damaged": 1,
        "image_empty": 1,
        "media_not_at_hand": 1,
        "no_such_record": 1,
    }
    bundle = Bundle.open(tmp_path / "bundle")
    rows = pq.read_table(bundle.root / "segments" / manifest.segments[0].name / "rows.parquet")
    found = {row["image_id"]: row for row in rows.to_pylist()}
    assert set(found) == {uuid_of(n) for n in (0, 1, 2, 3, 6, 7, 8, 9, 10)}
    assert [key for key, row in found.items() if row["media_type"]] == [uuid_of(0)]
    assert found[uuid_of(8)]["media_sha256"] == hashlib.sha256(jpeg(8)).hexdigest()
    with duckdb.connect(str(bundle.root / manifest.catalog), read_only=True) as catalog:
        taxa = catalog.execute("SELECT scientific_name FROM taxon ORDER BY taxon_id").fetchall()
    names = ["Life", "Animalia", "Chordata", "Amphibia", "Anura", "Hyla", "Hyla arborea"]
    assert [name for (name,) in taxa] == names  # no family, and none invented
    assert build(read_plan(plan), Silent()).was_live


def test_a_truncated_shard_never_makes_a_bundle(tmp_path: Path, tiny_model: Path) -> None:
    """Would break: an atlas of the first half of a download is published as the whole."""
    plan = write(tmp_path, tiny_model)
    shard = tmp_path / "tol/shards/1.tar"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PlanError, match=r"1\.tar: .* byte"):
        build(read_plan(plan), Silent())
    assert not (tmp_path / "bundle" / CURRENT).exists()
    shard.write_bytes(whole)
    assert build(read_plan(plan), Silent()).manifest.rows == 9
