"""An addition, a removal or a compaction killed at any moment leaves the old state or the new.

Started again it ends with the bundle of an undisturbed run.
"""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from atlas.bundle.bundle import Bundle
from atlas.bundle.files import sha256_of
from tests.comparing import catalog_rows, live
from tests.e2e.killed import kill_after, start
from tests.factories import make_photos, write_plan

KILLS = 2


def content(root: Path) -> tuple[object, ...]:
    """Checksums of the live state's files, and the rows of its catalog."""
    files = {entry.path: sha256_of(root / entry.path) for entry in live(root).files}
    return files, catalog_rows(root)


@pytest.mark.slow
def test_kills_change_nothing(tmp_path: Path, tiny_bundle: Path, tiny_model: Path) -> None:
    """A row taken twice, a segment half-moved or a catalog of other rows would show here."""
    photos = tmp_path / "photos"
    table = make_photos(photos, records=24, seed=9)
    table.write_text(table.read_text(encoding="utf-8").replace("urn:test:", "urn:more:"))
    plan = write_plan(
        tmp_path / "more.toml",
        photos=photos,
        model=tiny_model,
        bundle=tmp_path / "nowhere",
        rejects="max_share = 0.9",
    )
    plan.write_text(plan.read_text().replace('key = "tiny"', 'key = "more"'))
    roots = {name: tmp_path / name / "bundle" for name in ("undisturbed", "killed")}
    for root in roots.values():
        shutil.copytree(tiny_bundle, root)
    moments = random.Random(4)
    for number, (command, *options) in enumerate(
        (
            ("add", plan, "--quiet", "--to"),
            ("remove", "--occurrence-id", "urn:more:5"),
            ("compact", "--quiet", "--segment-rows", 50),
        ),
        start=2,
    ):
        started_s = time.monotonic()
        assert start(command, *options, roots["undisturbed"]).wait() == 0
        duration_s = time.monotonic() - started_s
        for _ in range(KILLS):
            # Most of the time goes into starting; files are written in the later half.
            seconds = duration_s * moments.uniform(0.4, 1.0)
            kill_after(seconds, command, *options, roots["killed"])
            assert Bundle.open(roots["killed"], "full").manifest.number in {number - 1, number}
            if Bundle.open(roots["killed"], "sizes").manifest.number == number:
                break
        if live(roots["killed"]).number < number:
            assert start(command, *options, roots["killed"]).wait() == 0
        assert content(roots["killed"]) == content(roots["undisturbed"]), command
        assert live(roots["killed"]) == live(roots["undisturbed"]), command
