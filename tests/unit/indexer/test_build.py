"""Whole builds: accounts, gates, nothing done twice, and going on after a stop at any stage."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from atlas.bundle.bundle import Bundle
from atlas.errors import BuildError, PlanError
from atlas.search.curve import Curve
from atlas.search.lists import Centroids
from indexer import assemble, indexing, prepare, reading, recall, state
from indexer.alone import alone_in
from indexer.work import WorkFolder
from tests.comparing import catalog_rows, checksums, without_catalog
from tests.factories import write_plan
from tests.unit.indexer.ready import INDEXED, built, live, write_ready_plan, write_vectors

BAD = {3: "short", 5: "nan", 6: "zero", 7: "zero", 9: "id", 11: "again", 12: "again", 13: "again"}
REASONS = {
    "duplicate_image_id": 3,
    "id_invalid": 1,
    "vector_not_finite": 1,
    "vector_wrong_length": 1,
    "vector_zero": 2,
}


def stamps(folder: Path) -> dict[str, int]:
    """When each file below a folder was written."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def test_rows_in_are_rows_out_and_rejects_for_every_source(tmp_path: Path) -> None:
    """Would break: rows are lost between two stages, or one source's faults are put to another."""
    write_vectors(tmp_path / "garden.parquet", 100, seed=1, bad=BAD)
    write_vectors(tmp_path / "museum-1.parquet", 40, seed=2)
    write_vectors(tmp_path / "museum-2.parquet", 30, seed=3, bad={0: "nan"})
    plan = write_ready_plan(tmp_path, "garden", "museum", sections={"rejects": "max_share = 0.06"})
    manifest = built(plan).manifest
    accounts = {
        source.key: (source.rows_in, source.rows_out, source.rejects) for source in manifest.sources
    }
    assert accounts == {
        "garden": (100, 92, REASONS),
        "museum": (70, 69, {"vector_not_finite": 1}),
    }
    bundle = Bundle.open(tmp_path / "bundle")
    rows = [
        row
        for entry in manifest.segments
        for row in pq.read_table(
            bundle.root / "segments" / entry.name / "rows.parquet", columns=["source_key"]
        )["source_key"].to_pylist()
    ]
    assert Counter(rows) == {"garden": 92, "museum": 69}
    assert manifest.rows == 161
    rejects = pq.read_table(bundle.root / manifest.rejects).to_pylist()
    assert Counter((row["source_key"], row["reason"]) for row in rejects) == {
        **{("garden", reason): count for reason, count in REASONS.items()},
        ("museum", "vector_not_finite"): 1,
    }
    # Rows are counted from 1 in their file, so the fault can be looked up there.
    assert sorted(row["row"] for row in rejects if row["source_key"] == "garden") == [
        number + 1 for number in sorted(BAD)
    ]
    assert all(row["detail"] for row in rejects)


def test_too_many_rejects_stop_the_build(tmp_path: Path) -> None:
    """Would break: an atlas of the few rows of a broken export replaces the good one."""
    vectors = tmp_path / "garden.parquet"
    write_vectors(vectors, 112, seed=1)
    plan = write_ready_plan(tmp_path, "garden", sections={"rejects": "max_share = 0.0625"})
    old = built(plan).manifest
    write_vectors(vectors, 112, seed=2, bad=BAD)
    with pytest.raises(BuildError, match=r"8 of 112 rows were refused.*0\.0625") as caught:
        built(plan)
    assert caught.value.stage == "account"
    assert "3 duplicate_image_id" in caught.value.problem
    assert Path(caught.value.problem.rpartition("see ")[2]).is_file()
    assert Bundle.open(tmp_path / "bundle").manifest == old
    write_vectors(vectors, 112, seed=2, bad=dict(list(BAD.items())[1:]))
    assert built(plan).manifest.rows == 105  # at the limit is not above it


def test_an_atlas_without_rows_is_not_built(tmp_path: Path) -> None:
    """Would break: an empty atlas is published, whatever share of rejects is tolerated."""
    write_vectors(tmp_path / "garden.parquet", 3, seed=1, bad=dict.fromkeys(range(3), "nan"))
    plan = write_ready_plan(tmp_path, "garden", sections={"rejects": "max_share = 1.0"})
    with pytest.raises(BuildError, match="all 3 rows were refused"):
        built(plan)
    assert live(tmp_path) is None
    (tmp_path / "garden.parquet").unlink()
    with pytest.raises(PlanError, match="garden"):
        built(plan)


def test_too_little_recall_stops_the_build(tmp_path: Path) -> None:
    """Would break: an index that misses what it should find is served without a word."""
    vectors = tmp_path / "garden.parquet"
    write_vectors(vectors, 300, seed=1)
    plan = write_ready_plan(tmp_path, "garden")
    old = built(plan).manifest
    files = stamps(tmp_path / "bundle")
    write_vectors(vectors, 1300, seed=2)
    coarse = 'factory = "IVF4,PQ1x1"\nexact_below = 0'
    strict = {"index": coarse, "measure": "queries = 30\nrecall_target = 0.999"}
    write_ready_plan(tmp_path, "garden", sections=strict)
    for _ in range(2):  # started again, it must not pass either
        with pytest.raises(BuildError, match=r"recall@10 of image queries.*below.*0\.999") as found:
            built(plan)
        assert found.value.stage == "measure"
    assert stamps(tmp_path / "bundle") == files
    assert Bundle.open(tmp_path / "bundle").manifest == old
    lenient = strict | {"measure": "queries = 30\nrecall_target = 0.0"}
    write_ready_plan(tmp_path, "garden", sections=lenient)
    assert built(plan).manifest.rows == 1300
    assert Bundle.open(tmp_path / "bundle").manifest.number == 2


def test_nothing_changed_is_nothing_done(tmp_path: Path) -> None:
    """Would break: a nightly build publishes, and has every server reload, for no reason."""
    write_vectors(tmp_path / "garden.parquet", 300, seed=1)
    plan = write_ready_plan(tmp_path, "garden", sections=INDEXED)
    first = built(plan)
    assert not first.was_live
    before = stamps(tmp_path)
    again = built(plan)
    assert again.was_live
    assert again.manifest == first.manifest
    assert stamps(tmp_path) == before


def test_a_new_title_does_not_embed_again(
    tmp_path: Path, tiny_model: Path, tiny_photos: Path
) -> None:
    """Would break: correcting a spelling mistake costs a week of GPU time."""
    plan = write_plan(
        tmp_path / "plan.toml", photos=tiny_photos, model=tiny_model, bundle=tmp_path / "bundle"
    )
    first = built(plan).manifest
    work = WorkFolder(tmp_path / "bundle.work")
    before = stamps(work.read), stamps(work.embed)
    assert len(before[1]) > 4
    plan.write_text(plan.read_text().replace("Tiny atlas", "Small atlas"))
    second = built(plan)
    assert not second.was_live
    assert (stamps(work.read), stamps(work.embed)) == before
    assert (first.title, second.manifest.title) == ("Tiny atlas", "Small atlas")
    assert (first.number, second.manifest.number) == (1, 2)
    assert Bundle.open(tmp_path / "bundle").manifest == second.manifest
    vectors = [
        (tmp_path / "bundle" / "segments" / name / "tiny.f16").read_bytes()
        for name in ("0001", "0002")
    ]
    assert vectors[0] == vectors[1]


def test_a_changed_file_is_read_again_and_no_other(tmp_path: Path) -> None:
    """Would break: a daily addition to a large collection reads all of it again."""
    write_vectors(tmp_path / "garden-1.parquet", 50, seed=1)
    write_vectors(tmp_path / "garden-2.parquet", 50, seed=2)
    plan = write_ready_plan(tmp_path, "garden")
    built(plan)
    work = WorkFolder(tmp_path / "bundle.work")
    before = stamps(work.embed)
    write_vectors(tmp_path / "garden-2.parquet", 60, seed=3)
    assert built(plan).manifest.rows == 110
    after = stamps(work.embed)
    changed = {name.split(".")[0] for name in before if after[name] != before[name]}
    assert len(changed) == 1
    assert len({name.split(".")[0] for name in before}) == 2


def test_two_builds_do_not_share_a_work_folder(tmp_path: Path) -> None:
    """Would break: two builds started by mistake write into each other's parts."""
    write_vectors(tmp_path / "garden.parquet", 20, seed=1)
    plan = write_ready_plan(tmp_path, "garden")
    work = WorkFolder(tmp_path / "bundle.work")
    with (
        alone_in(work.root),
        pytest.raises(BuildError, match=r"another build is at work in .*bundle\.work"),
    ):
        built(plan)
    assert built(plan).manifest.rows == 20


BOUNDARIES = (
    (reading, "read_part"),
    (prepare, "load_encoders"),
    (prepare, "take_ready"),
    (state, "identity_of"),
    (state, "begin"),
    (assemble, "order_rows"),
    (assemble, "write_rejects"),
    (assemble, "account_of"),
    (assemble, "write_segment"),
    (indexing, "train_space"),
    (indexing, "encode_rows"),
    (assemble, "write_catalog"),
    (recall, "measure_space"),
    (assemble, "publish_bundle"),
)


def stopping(real: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """`real`, but the build stops before its first call, or right after it."""

    def stopped(*arguments: Any, **options: Any) -> None:
        if after:
            real(*arguments, **options)
        raise KeyboardInterrupt

    return stopped


def test_a_build_goes_on_after_a_stop_at_any_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a resumed build has lost rows, or has taken half a file for a whole one."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    plans = {}
    write_vectors(tmp_path / "garden-1.parquet", 200, seed=1, bad=BAD)
    write_vectors(tmp_path / "garden-2.parquet", 150, seed=2)
    for name in ("undisturbed", "stopped"):
        folder = tmp_path / name
        folder.mkdir()
        for path in tmp_path.glob("garden-*.parquet"):
            shutil.copy2(path, folder)
        plans[name] = write_ready_plan(folder, "garden", sections=INDEXED)
    wanted = built(plans["undisturbed"]).manifest
    for module, name in BOUNDARIES:
        for after in (False, True):
            with monkeypatch.context() as patch:
                patch.setattr(module, name, stopping(getattr(module, name), after=after))
                with pytest.raises(KeyboardInterrupt):
                    built(plans["stopped"])
            if (module, name, after) != (assemble, "publish_bundle", True):
                assert live(tmp_path / "stopped") is None
    finished = built(plans["stopped"])
    assert finished.was_live  # the last stop came when all was published
    roots = [tmp_path / name / "bundle" for name in plans]
    assert checksums(roots[1]) == checksums(roots[0])
    assert catalog_rows(roots[1]) == catalog_rows(roots[0])
    assert without_catalog(finished.manifest) == without_catalog(wanted)
    assert Bundle.open(roots[1]).manifest == finished.manifest
    assert msgspec.structs.asdict(wanted)["rows"] == 342


def test_a_plan_may_ask_for_a_graph_over_its_lists(tmp_path: Path) -> None:
    """Would break: `index.coarse` is read and not heeded, or its recall is another index's."""
    write_vectors(tmp_path / "garden.parquet", 400, seed=1)
    sections = {**INDEXED, "index": INDEXED["index"] + '\ncoarse = "hnsw"'}
    manifest = built(write_ready_plan(tmp_path, "garden", sections=sections)).manifest
    bundle = Bundle.open(tmp_path / "bundle")
    assert bundle.spaces["small"].factory == "IVF4_HNSW32,Flat"
    indexes = [segment.index("small") for segment in bundle.segments]
    assert all(index is not None and Centroids(index).navigable for index in indexes)
    assert len(indexes) == len(manifest.segments) == 3
    curve = msgspec.json.decode(bundle.curve_path("small").read_bytes(), type=Curve)
    assert max(point.recall for point in curve.points) > 0.99
