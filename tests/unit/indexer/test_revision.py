"""Stopping a revision before every single rename, and going on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atlas.bundle.bundle import Bundle
from atlas.bundle.manifest import Manifest, read_current, read_manifest
from indexer.add import add
from indexer.compact import compact
from indexer.plan import read_plan
from indexer.plan_sections import IndexSection, MeasureSection
from indexer.progress import Silent
from indexer.remove import remove
from tests.comparing import catalog_rows, live
from tests.factories import make_photos, write_plan


class Killed(BaseException):
    """Stands for SIGKILL: nothing foresees it."""


class Renames:
    """Counts the renames below a folder, and stops the program before one of them."""

    def __init__(self) -> None:
        self.done = 0
        self.last: int | None = None

    @contextmanager
    def counted(self, last: int | None) -> Iterator[None]:
        """Stop before the rename with this number, from 0; never where it is None."""
        self.done, self.last = 0, last
        try:
            yield
        except Killed:
            assert last is not None
        finally:
            self.last = None

    def count(self, rename: Callable[..., Any]) -> Callable[..., Any]:
        """A rename that is counted."""

        def counting(path: Path, target: Path) -> Any:
            if self.done == self.last:
                raise Killed
            self.done += 1
            return rename(path, target)

        return counting


@pytest.fixture
def renames(monkeypatch: pytest.MonkeyPatch) -> Renames:
    """Every rename of this process."""
    counter = Renames()
    monkeypatch.setattr(Path, "replace", counter.count(Path.replace))
    monkeypatch.setattr(Path, "rename", counter.count(Path.rename))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    return counter


def state(root: Path) -> tuple[Manifest, dict[str, list[tuple[object, ...]]]]:
    """The live manifest less the catalog's bytes, and the catalog's rows."""
    Bundle.open(root, "full")
    return live(root), catalog_rows(root)


def take_away(root: Path) -> None:
    """Remove one record, unless that is done."""
    remove(
        root,
        occurrence_ids=["urn:test:2"],
        licences=(),
        ignore_missing=True,
        dry_run=False,
        watcher=Silent(),
    )


def rewrite(root: Path) -> None:
    """Cut the bundle into other segments, unless that is done."""
    compact(root, index=IndexSection(segment_rows=40), settings=MeasureSection(), watcher=Silent())


def train_anew(root: Path) -> None:
    """Train the bundle's index anew, unless that is done."""
    if read_manifest(read_current(root)).number == 1:
        settings = MeasureSection(recall_target=0.1)
        compact(root, index=IndexSection(), settings=settings, retrains=True, watcher=Silent())


def stop_everywhere(
    revise: Callable[[Path], object],
    first: Path,
    folder: Path,
    renames: Renames,
    *,
    last: int | None = None,
) -> None:
    """Stop `revise` before each rename, go on, and compare with a run that nobody stopped.

    With `last` only before the last so many renames.
    """
    # Twice: parts that stay in the work folder, as in every addition, are made once.
    for name in ("warm", "undisturbed"):
        undisturbed = shutil.copytree(first, folder / name)
        with renames.counted(None):
            revise(undisturbed)
    wanted, moments = state(undisturbed), renames.done
    assert wanted[0].number == 2
    for moment in range(moments)[-last if last else 0 :]:
        root = folder / f"stopped-{moment}"
        shutil.copytree(first, root)
        with renames.counted(moment):
            revise(root)
        number = read_manifest(read_current(root)).number
        Bundle.open(root, "full")
        # The last rename is that of CURRENT: up to it the old state is live.
        assert number == 1, moment
        revise(root)
        assert state(root) == wanted, moment


def test_stopped_removal(tiny_bundle: Path, tmp_path: Path, renames: Renames) -> None:
    """Tombstones without their catalog, or a catalog without them, would show."""
    stop_everywhere(take_away, tiny_bundle, tmp_path, renames)


@pytest.mark.slow
def test_stopped_compaction(tiny_bundle: Path, tmp_path: Path, renames: Renames) -> None:
    """Segments that were moved already must be taken as they are, and named once."""
    stop_everywhere(rewrite, tiny_bundle, tmp_path, renames)


@pytest.mark.slow
def test_stopped_training(indexed_bundle: Path, tmp_path: Path, renames: Renames) -> None:
    """A new index beside old lists, or a space named before it is whole, would find nothing."""
    # Before these, a stopped training leaves what a stopped compaction does.
    stop_everywhere(train_anew, indexed_bundle, tmp_path, renames, last=8)


@pytest.mark.slow
def test_stopped_addition(
    tiny_bundle: Path, tiny_model: Path, tmp_path: Path, renames: Renames
) -> None:
    """From the order of the new rows to the pointer; parts are stopped in the builds' own test."""
    photos = tmp_path / "photos"
    table = make_photos(photos, records=12, seed=9)
    table.write_text(table.read_text(encoding="utf-8").replace("urn:test:", "urn:more:"))
    path = write_plan(
        tmp_path / "more.toml",
        photos=photos,
        model=tiny_model,
        bundle=tmp_path / "nowhere",
        rejects="max_share = 0.9",
    )
    text = path.read_text().replace('key = "tiny"', 'key = "more"')
    path.write_text(text.replace("[output]", f'[output]\nwork = "{tmp_path / "parts"}"'))
    plan = read_plan(path)
    stop_everywhere(lambda root: add(plan, root, Silent()), tiny_bundle, tmp_path, renames)


def test_another_removal_after_a_stopped_one(
    tiny_bundle: Path, tmp_path: Path, renames: Renames
) -> None:
    """What a stopped removal had put into the bundle must not be taken for that of the next."""
    root = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    with renames.counted(None):
        take_away(shutil.copytree(tiny_bundle, tmp_path / "counted"))
    with renames.counted(renames.done - 2):  # before the manifest
        take_away(root)
    assert list(root.glob("catalog-000002.duckdb"))
    remove(
        root,
        occurrence_ids=["urn:test:3"],
        licences=(),
        ignore_missing=False,
        dry_run=False,
        watcher=Silent(),
    )
    manifest, rows = state(root)
    assert manifest.number == 3
    assert any("urn:test:2" in row for row in rows["image"])
    assert not any("urn:test:3" in row for row in rows["image"])
