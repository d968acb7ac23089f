"""A build killed at any moment and started again ends with the bundle of an undisturbed build."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import CURRENT
from tests.bundle_factory import random_vectors
from tests.comparing import catalog_rows, checksums, without_catalog
from tests.e2e.disturbed import disturbed, moments
from tests.factories import TINY_DIM, make_photos, write_plan

KILLS = 30


def content(root: Path) -> tuple[object, ...]:
    """All of a bundle that can be compared: checksums, rows of the catalog, manifest."""
    manifest = Bundle.open(root, "full").manifest
    return checksums(root), catalog_rows(root), without_catalog(manifest)


def plan_of_everything(path: Path, *, photos: Path, model: Path, bundle: Path) -> Path:
    """A plan with photos, ready vectors and a trained index: a build that has every stage."""
    vectors = random_vectors(240, TINY_DIM, 1)
    table = {
        "uuid": [f"00000000-0000-4000-8000-{number:012x}" for number in range(len(vectors))],
        "emb": pa.array(list(map(list, vectors.astype(np.float32))), pa.list_(pa.float32())),
        "species": ["Hyla arborea"] * len(vectors),
    }
    pq.write_table(pa.table(table), photos / "ready.parquet", row_group_size=80)
    write_plan(
        path,
        photos=photos,
        model=model,
        bundle=bundle,
        index='factory = "IVF4,Flat"\nexact_below = 0\nsegment_rows = 160',
        measure="queries = 20\nrecall_target = 0.0",
    )
    with path.open("a", encoding="utf-8") as file:
        file.write(
            '[[sources]]\nkind = "embeddings"\nkey = "ready"\ntitle = "Ready"\nspace = "tiny"\n'
            f'path = "{photos / "ready.parquet"}"\nas_of = 2026-01-01\n'
        )
    return path


@pytest.mark.slow
def test_thirty_kills_change_nothing(tmp_path: Path, tiny_model: Path) -> None:
    """A part taken twice, a half-written file or a lost row would change a checksum or a table."""
    photos = tmp_path / "photos"
    make_photos(photos, records=30)
    roots, plans = {}, {}
    for name in ("undisturbed", "killed"):
        roots[name] = tmp_path / name / "bundle"
        roots[name].parent.mkdir()
        plans[name] = plan_of_everything(
            tmp_path / f"{name}.toml", photos=photos, model=tiny_model, bundle=roots[name]
        )
    undisturbed = disturbed(plans["undisturbed"])
    assert undisturbed.status == "done", undisturbed.message
    events = {stage: count for stage, count in undisturbed.events.items() if stage}
    stages = tuple(events)
    assert {"read", "embed", "sort", "train", "encode", "catalog", "measure", "publish"} <= {
        *stages
    }
    wanted = content(roots["undisturbed"])

    killed_in: Counter[str] = Counter()
    finished = 0
    for moment in moments(events, 10 * KILLS, seed=3):
        ended = disturbed(plans["killed"], stages=stages, moment=moment)
        killed_in[ended.stage] += ended.status == "killed"
        if (roots["killed"] / CURRENT).exists():
            Bundle.open(roots["killed"], "full")
        if ended.status == "done" or moment.stage == len(stages) - 1:
            assert disturbed(plans["killed"]).status == "done"
            assert content(roots["killed"]) == wanted
            finished += 1
            shutil.rmtree(roots["killed"].parent)
            roots["killed"].parent.mkdir()
        if killed_in.total() == KILLS:
            break
    if roots["killed"].with_name("bundle.work").exists():
        assert disturbed(plans["killed"]).status == "done"
        assert content(roots["killed"]) == wanted
        finished += 1
    assert killed_in.total() == KILLS
    assert set(killed_in) == set(stages)
    assert finished >= KILLS // len(stages)
