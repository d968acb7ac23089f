"""Files of the work folder that are damaged between two runs never get into a bundle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from atlas.bundle.bundle import Bundle
from indexer import assemble, revision
from indexer.add import add
from indexer.plan import read_plan
from indexer.progress import Silent
from indexer.stages import publish
from indexer.stages.publish import publish_bundle
from indexer.written import LOG, move_into
from tests.e2e.test_kill_and_resume import content
from tests.unit.indexer.ready import INDEXED, built, live, write_ready_plan, write_vectors
from tests.unit.indexer.test_written import flip

ASSEMBLED = (
    LOG,
    "state.json",
    "order.parquet",
    "names-of-rows.parquet",
    "taxa.parquet",
    "names.parquet",
    "duplicates.parquet",
    "rejects.parquet",
    "segments/0001/rows.parquet",
    "segments/0002/small.f16",
    "segments/0001/small.ivf",
    "segments/0003/small.list_no",
    "segments/0002/place.starts.i64",
    "segments/0001/tombstones.roar",
    "spaces/small/coarse.faiss",
    "spaces/small/training.json",
    "spaces/small/space.json",
    "spaces/small/curve.json",
    "catalog.duckdb",
)
MOVED = (
    "segments/0001/rows.parquet",
    "segments/0003/small.f16",
    "segments/0003/place.starts.i64",
    "segments/0002/small.ivf",
    "spaces/small/coarse.faiss",
    "spaces/small/curve.json",
    "catalog-000001.duckdb",
    "rejects-000001.parquet",
)
SECTIONS = dict(INDEXED) | {"rejects": "max_share = 0.5"}


def power_cut(*_arguments: object, **_named: object) -> None:
    """Stop as nothing that a build expects does."""
    raise RuntimeError("the power went")


@pytest.fixture(autouse=True)
def _same_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """What a build holds that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1767225600")
        built(plan_in(folder))
    return content(folder / "bundle")


def plan_in(folder: Path) -> Path:
    """A plan with three segments, an index and rejects, and its vectors."""
    vectors = folder / "garden.parquet"
    write_vectors(vectors, 400, seed=1, bad={7: "again", 9: "nan"})
    os.utime(vectors, (1_767_000_000, 1_767_000_000))
    return write_ready_plan(folder, "garden", sections=SECTIONS)


def stopped(plan: Path, module: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build until `name` is called."""
    with monkeypatch.context() as patch:
        patch.setattr(module, name, power_cut)
        with pytest.raises(RuntimeError, match="power"):
            built(plan)
    assert live(plan.parent) is None


@pytest.mark.parametrize("name", ASSEMBLED)
def test_damage_in_the_assembly_is_made_good(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: tuple[object, ...],
) -> None:
    """Would break: bytes that a disk lost between two runs end up in a bundle that verifies."""
    plan = plan_in(tmp_path)
    stopped(plan, assemble, "publish_bundle", monkeypatch)
    path = tmp_path / "bundle.work" / "assembly" / name
    assert path.is_file()
    if path.suffix in {".duckdb", ".f16", ".json", ".log"}:
        flip(path)
    else:
        path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    built(plan)
    assert content(tmp_path / "bundle") == undisturbed


@pytest.mark.parametrize("name", MOVED)
def test_damage_in_what_was_moved_is_made_good(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: tuple[object, ...],
) -> None:
    """Would break: what a stopped publish had moved is made live without another look."""
    plan = plan_in(tmp_path)
    stopped(plan, publish, "publish", monkeypatch)
    flip(tmp_path / "bundle" / name)
    built(plan)
    assert content(tmp_path / "bundle") == undisturbed


def test_a_file_that_is_cut_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: tuple[object, ...]
) -> None:
    """Would break: a copy of a work folder that broke off is taken for all of it."""
    plan = plan_in(tmp_path)
    stopped(plan, assemble, "publish_bundle", monkeypatch)
    for name in ("segments/0002/small.f16", "order.parquet"):
        path = tmp_path / "bundle.work" / "assembly" / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    built(plan)
    assert content(tmp_path / "bundle") == undisturbed


def test_damage_within_a_run_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: tuple[object, ...]
) -> None:
    """Would break: what the manifest says of a file is of its damaged bytes."""
    plan = plan_in(tmp_path)
    move = move_into

    def damaging(source: Path, destination: Path) -> None:
        move(source, destination)
        if destination.name == "0002":
            flip(destination / "small.f16")

    with monkeypatch.context() as patch:
        patch.setattr(publish, "move_into", damaging)
        with pytest.raises(Exception, match=r"0002/small\.f16 is not as it was written"):
            built(plan)
    assert live(tmp_path) is None
    built(plan)
    assert content(tmp_path / "bundle") == undisturbed


def test_files_of_a_live_bundle_are_never_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a build that goes on after a newer bundle takes files out of it."""
    plan = plan_in(tmp_path)
    real = publish_bundle

    def cut_afterwards(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        power_cut()

    with monkeypatch.context() as patch:
        patch.setattr(assemble, "publish_bundle", cut_afterwards)
        with pytest.raises(RuntimeError, match="power"):
            built(plan)
    first = live(tmp_path)
    assert first is not None
    # As where another bundle went live after it: the plan's assembly is still there.
    (tmp_path / "bundle" / "CURRENT").unlink()
    flip(tmp_path / "bundle.work" / "assembly" / "order.parquet")
    second = built(plan).manifest
    assert second.number > first.number
    assert {entry.path for entry in first.files}.isdisjoint(entry.path for entry in second.files)
    assert all((tmp_path / "bundle" / entry.path).is_file() for entry in first.files)


def added(folder: Path) -> tuple[Path, Path]:
    """A bundle, and a plan whose rows are to be added to it."""
    for name in ("garden", "meadow"):
        (folder / name).mkdir()
        vectors = folder / name / f"{name}.parquet"
        write_vectors(vectors, 300, seed=len(name) + (name == "meadow"))
        os.utime(vectors, (1_767_000_000, 1_767_000_000))
    built(write_ready_plan(folder / "garden", "garden", sections=SECTIONS))
    plan = write_ready_plan(folder / "meadow", "meadow", sections=SECTIONS)
    return folder / "garden" / "bundle", plan


def live_files(root: Path) -> dict[str, str]:
    """Checksums of the live state's files, but for the catalog's, whose bytes differ each time."""
    files = Bundle.open(root, "full").manifest.files
    return {entry.path: entry.sha256 for entry in files if not entry.path.endswith(".duckdb")}


@pytest.fixture(scope="module")
def undisturbed_addition(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a bundle that rows were added to, which nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1767225600")
        root, plan = added(tmp_path_factory.mktemp("addition"))
        add(read_plan(plan), root, Silent())
    return live_files(root)


@pytest.mark.parametrize(
    "name",
    [
        "admitted.parquet",
        "rejects-added.parquet",
        "living.parquet",
        "segments/0003/rows.parquet",
        "segments/0004/small.f16",
        "segments/0003/small.ivf",
        "files/spaces-small-curve-000002.json",
    ],
)
def test_damage_in_an_addition_is_made_good(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed_addition: dict[str, str],
) -> None:
    """Would break: only builds look at what they take over, and additions trust it."""
    root, plan = added(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(revision, "publish_bundle", power_cut)
        with pytest.raises(RuntimeError, match="power"):
            add(read_plan(plan), root, Silent())
    before = live_files(root)
    flip(root.with_name("bundle.work") / "add" / "assembly" / name)
    add(read_plan(plan), root, Silent())
    assert live_files(root) == undisturbed_addition != before
