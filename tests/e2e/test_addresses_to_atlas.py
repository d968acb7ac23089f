"""A list of addresses becomes an atlas: what its host does not give is accounted for."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import CURRENT
from atlas.errors import BuildError
from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Silent
from tests.unit.indexer.photo_host import Answer, PhotoHost, photo_host
from tests.unit.indexer.shards import jpeg

PLAN = """\
[atlas]
title = "Addresses"
[output]
bundle = "bundle"
[[sources]]
kind = "urls"
key = "web"
title = "Photos of the web"
path = "photos.csv"
contact = "ann@example.org"
private_addresses = true
requests_per_s = 1000.0
retry_wait_s = 0.01
timeout_s = 0.5
tries = 2
{further}
[[spaces]]
name = "tiny"
encoder = "local-dir:{model}"
device = "cpu"
[media]
host = ["CC-BY-4.0"]
[rejects]
max_share = 0.7
[parts]
rows = 4
[workers]
count = 1
"""
FAULTS = {
    "/1.jpg": [Answer(status=404)],
    "/2.jpg": [Answer(status=500)],
    "/3.jpg": [Answer(body=b"<html>", headers={"Content-Type": "text/html"})],
    "/4.jpg": [Answer(body=jpeg(4), stall_s=2.0)],
    "/5.jpg": [Answer(body=jpeg(5), sent=100)],
    "/6.jpg": [Answer(status=302, headers={"Location": "/6.jpg"})],
    "/7.jpg": [Answer(body=jpeg(7)[:300])],
}


def write(folder: Path, host: PhotoHost, model: Path, further: str = "") -> Path:
    """Twelve rows, one of which names no photo and one comes twice."""
    licences = ["CC BY 4.0", "CC BY-NC 4.0", ""]
    lines = ["occurrenceID,scientificName,license,mediaURL,mediaLicense"]
    lines += [
        f"o-{n},Hyla arborea,CC0,{host.url}/{n}.jpg,{licences[n % 3]}" for n in [*range(11), 0]
    ]
    lines += ["o-11,Hyla arborea,CC BY 4.0,,"]
    (folder / "photos.csv").write_text("\n".join(lines))
    plan = folder / "plan.toml"
    plan.write_text(PLAN.format(model=model, further=further))
    return plan


def test_every_address_is_a_photo_or_a_reject(tmp_path: Path, tiny_model: Path) -> None:
    """Would break: photos are lost between host and bundle, or copied by the record's licence."""
    with photo_host() as host:
        host.answers = dict(FAULTS)
        plan = write(tmp_path, host, tiny_model)
        manifest = build(read_plan(plan), Silent()).manifest
        (source,) = manifest.sources
        assert (source.rows_in, source.rows_out) == (13, 4)
        assert source.rejects == {
            "download_failed": 3,  # 500, stalled, cut short
            "duplicate_image_id": 1,
            "file_missing": 2,  # 404, redirected without end
            "image_damaged": 1,
            "no_file_named": 1,
            "not_an_image": 1,
        }
        bundle = Bundle.open(tmp_path / "bundle")
        rows = pq.read_table(bundle.root / "segments" / manifest.segments[0].name / "rows.parquet")
        found = {row["occurrence_id"]: row for row in rows.to_pylist()}
        assert set(found) == {"o-0", "o-8", "o-9", "o-10"}
        hosted = {key for key, row in found.items() if row["media_type"] is not None}
        assert hosted == {"o-0", "o-9"}
        # The next build asks again for the three that failed, and finds that nothing has changed.
        asked = len(host.paths())
        assert build(read_plan(plan), Silent()).was_live
        assert set(host.paths()[asked:]) == {"/2.jpg", "/4.jpg", "/5.jpg"}
        # What is to be had now comes in, and nothing else is asked for.
        host.answers.pop("/2.jpg")
        asked = len(host.paths())
        later = build(read_plan(plan), Silent())
        assert not later.was_live
        assert later.manifest.rows == 5
        assert "/8.jpg" not in host.paths()[asked:]


def test_a_dead_host_is_a_clear_stop(tmp_path: Path, tiny_model: Path) -> None:
    """Would break: an atlas of nothing, or of little, takes the place of a good one."""
    with photo_host() as host:
        plan = write(tmp_path, host, tiny_model, "give_up_after = 3")
    began_s = time.monotonic()
    with pytest.raises(BuildError, match=r"all 13 rows were refused.*download_failed"):
        build(read_plan(plan), Silent())
    assert time.monotonic() - began_s < 60
    assert not (tmp_path / "bundle" / CURRENT).exists()
