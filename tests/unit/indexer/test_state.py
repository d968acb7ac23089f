"""What an assembly fixes when it begins: a resumed one keeps it, a new one takes new names."""

from __future__ import annotations

from pathlib import Path

import duckdb
import msgspec
import pytest

from atlas.bundle.bundle import Bundle
from atlas.errors import BuildError
from indexer.account import Parts
from indexer.parts import PartReport
from indexer.plan import Plan, read_plan
from indexer.progress import Silent
from indexer.stages import publish
from indexer.state import State, begin, identity_of, live_manifest
from indexer.work import WorkFolder
from indexer.written import LOG
from tests.unit.indexer.ready import INDEXED, built, live, write_ready_plan, write_vectors


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan with one space, `small`."""
    return read_plan(write_ready_plan(tmp_path, "garden"))


def begun(plan: Plan, identity: str) -> State:
    """Begin an assembly in the plan's work folder."""
    return begin(plan, WorkFolder(plan.output.work_folder()), identity, Silent().note)


def test_a_resumed_assembly_keeps_its_names_and_date(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a resumed build has another number or date than an undisturbed one."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    state = begun(plan, "one")
    assert state.built_at == "2026-01-01T00:00:00+00:00"
    assert (state.number, state.first_segment) == (1, 1)
    assert state.catalog_name == "catalog-000001.duckdb"
    assert state.rejects_name == "rejects-000001.parquet"
    assert state.space_folder("small") == "small"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    (plan.output.bundle / "segments" / "0001").mkdir(parents=True)
    assert begun(plan, "one") == state


def test_an_assembly_of_other_input_is_removed(plan: Plan) -> None:
    """Would break: rows of the last plan's order get into the bundle of this one."""
    work = WorkFolder(plan.output.work_folder())
    begun(plan, "one")
    work.order.write_bytes(b"the order of other rows")
    begun(plan, "two")
    assert {path.name for path in work.assembly.iterdir()} == {work.state.name, LOG}


def test_names_that_are_taken_are_not_used_again(plan: Plan) -> None:
    """Would break: a file of another bundle is taken for one of this build that moved already."""
    root = plan.output.bundle
    for name in ("segments/0007", "segments/notes", "spaces/small", "spaces/small-000005"):
        (root / name).mkdir(parents=True)
    for name in ("manifest-000002.json", "catalog-000004.duckdb", "rejects-000003.parquet"):
        (root / name).touch()
    state = begun(plan, "one")
    assert state.number == 5
    assert state.first_segment == 8
    assert not (root / "spaces" / state.space_folder("small")).exists()
    assert not (root / state.catalog_name).exists()
    assert not (root / state.rejects_name).exists()


def test_a_date_that_is_no_number_is_refused(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break: a misspelt date is taken as now, and builds no longer repeat."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(BuildError, match="SOURCE_DATE_EPOCH"):
        begun(plan, "one")


def test_identity_follows_parts_and_plan(plan: Plan) -> None:
    """Would break: a change does not reach the bundle, or nothing is ever up to date."""

    def parts(identity: str) -> Parts:
        report = PartReport(
            part="p", stage="embed", identity=identity, rows_in=1, rows_out=1, rejects=0, files={}
        )
        return Parts(source_of={"p": "garden"}, read={}, embedded={"p": report})

    first = identity_of(plan, parts("x"))
    assert identity_of(plan, parts("x")) == first
    assert identity_of(plan, parts("y")) != first
    titled = msgspec.structs.replace(plan.atlas, title="Other")
    assert identity_of(msgspec.structs.replace(plan, atlas=titled), parts("x")) != first


def test_without_a_bundle_none_is_live(plan: Plan) -> None:
    """Would break: a first build fails for want of an earlier one."""
    assert live_manifest(plan.output.bundle) is None


@pytest.mark.parametrize("generation", [1, 2])
def test_a_build_takes_nothing_of_one_that_was_stopped_while_publishing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generation: int
) -> None:
    """Would break: a catalog or an index of other rows is published with this build's segments."""
    vectors = tmp_path / "garden.parquet"
    plan = write_ready_plan(tmp_path, "garden", sections=INDEXED)
    if generation == 2:
        write_vectors(vectors, 380, seed=1)
        built(plan)

    def power_cut(*_arguments: object) -> None:
        raise RuntimeError("the power went")  # no error of a disk: these are told in words

    write_vectors(vectors, 400, seed=2)
    with monkeypatch.context() as patch:
        patch.setattr(publish, "publish", power_cut)
        with pytest.raises(RuntimeError, match="power"):
            built(plan)
    write_vectors(vectors, 390, seed=3)
    manifest = built(plan).manifest
    assert manifest.rows == 390
    assert live(tmp_path) == manifest
    bundle = Bundle.open(tmp_path / "bundle")
    with duckdb.connect(str(bundle.catalog_path), read_only=True) as connection:
        ids = connection.execute("SELECT image_id::VARCHAR FROM image_identity").fetchall()
    assert len(ids) == 390
    assert all(image_id.startswith("00000003-") for (image_id,) in ids)
    curve = msgspec.json.decode(bundle.curve_path("small").read_bytes())
    assert curve["rows"] == 390
