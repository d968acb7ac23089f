"""Builds from shards and from addresses, killed at any moment, end as undisturbed ones do."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import CURRENT, read_current, read_manifest
from tests.comparing import catalog_rows, checksums, without_catalog
from tests.e2e.killed import kill_after, start
from tests.unit.indexer.photo_host import Answer, photo_host
from tests.unit.indexer.shards import (
    catalog_row,
    jpeg,
    samples,
    write_catalog,
    write_image_table,
    write_tar,
)

KILLS = 3
PLAN = """\
[atlas]
title = "Shards and addresses"
[output]
bundle = "{bundle}"
[[sources]]
kind = "tree_of_life"
key = "tol"
title = "Tree of life"
path = "tol"
[[sources]]
kind = "urls"
key = "web"
title = "Photos of the web"
path = "photos.csv"
contact = "ann@example.org"
private_addresses = true
requests_per_s = 100.0
retry_wait_s = 0.01
[[spaces]]
name = "tiny"
encoder = "local-dir:{model}"
device = "cpu"
[rejects]
max_share = 0.5
[parts]
rows = 10
[workers]
count = 1
"""


@pytest.mark.slow
def test_kills_change_nothing(tmp_path: Path, tiny_model: Path) -> None:
    """Would break: an index, a joined table or half a photo that was left is taken for whole."""
    tree = write_catalog(tmp_path / "tol", [catalog_row(n) for n in range(45)])
    for number in range(3):
        first = 10 * number
        write_tar(tree / f"shards/{number}.tar", samples(range(first, first + 10)))
    write_image_table(tree / "shards/3.parquet", range(30, 41))
    with photo_host() as host:
        host.answers = {
            "/50.jpg": [Answer(status=404)],
            "/51.jpg": [Answer(body=jpeg(51)[:200])],
            "/52.jpg": [Answer(status=500), Answer(body=jpeg(52))],
        }
        lines = [f"o-{n},Hyla arborea,{host.url}/{n}.jpg" for n in range(50, 100)]
        (tmp_path / "photos.csv").write_text(
            "\n".join(["occurrenceID,scientificName,mediaURL", *lines])
        )
        roots = {name: tmp_path / name / "bundle" for name in ("undisturbed", "killed")}
        plans = {name: tmp_path / f"{name}.toml" for name in roots}
        for name, root in roots.items():
            plans[name].write_text(PLAN.format(bundle=root, model=tiny_model))
        began_s = time.monotonic()
        assert start("build", "--quiet", plans["undisturbed"]).wait() == 0
        duration_s = time.monotonic() - began_s
        moments = random.Random(5)
        for _ in range(KILLS):
            seconds = duration_s * moments.uniform(0.2, 1.0)
            kill_after(seconds, "build", "--quiet", plans["killed"])
            if (roots["killed"] / CURRENT).exists():
                Bundle.open(roots["killed"], "full")
        assert start("build", "--quiet", plans["killed"]).wait() == 0
        asked = host.paths()
    manifests = {name: read_manifest(read_current(root)) for name, root in roots.items()}
    accounts = {source.key: source for source in manifests["killed"].sources}
    assert (accounts["tol"].rows_in, accounts["tol"].rejects) == (45, {"media_not_at_hand": 4})
    assert (accounts["web"].rows_in, accounts["web"].rows_out) == (50, 48)
    assert accounts["web"].rejects == {"file_missing": 1, "image_damaged": 1}
    assert checksums(roots["killed"]) == checksums(roots["undisturbed"])
    assert catalog_rows(roots["killed"]) == catalog_rows(roots["undisturbed"])
    # Identity included: it knows what was fetched, and not when.
    assert without_catalog(manifests["killed"]) == without_catalog(manifests["undisturbed"])
    # Once for each of the two builds, and once more at most for what a kill cut off.
    assert all(asked.count(f"/{n}.jpg") <= 2 + KILLS for n in range(50, 100))
    assert len(asked) < 2 * 50 + 50
