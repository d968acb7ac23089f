"""The report of a build says what the account says, and needs nothing but itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from atlas.bundle.manifest import Manifest, encode_json, read_current, read_manifest
from atlas.errors import BuildError
from indexer.build import build
from indexer.commands import indexer
from indexer.plan import read_plan
from indexer.progress import Advance, Silent
from indexer.report.contents import Report
from indexer.report.map import RAMP, classes_of
from indexer.report.record import RECORD, Recorded, read_record
from indexer.report.write import write_report
from tests.unit.indexer.frog_atlas import build_archive, stored, write_frogs
from tests.unit.indexer.ready import INDEXED, live, write_ready_plan, write_vectors


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle of two sources, some rows refused, and the record of its build."""
    folder = tmp_path_factory.mktemp("report")
    write_vectors(folder / "first.parquet", 300, 1, {3: "short", 4: "nan", 9: "zero", 20: "again"})
    write_vectors(folder / "second.parquet", 120, 2, {5: "id"})
    plan = write_ready_plan(folder, "first", "second", sections=INDEXED)
    watcher = Recorded(Silent(), folder / "bundle.work")
    watcher.is_live(build(read_plan(plan), watcher).manifest.number)
    return folder


def reported(folder: Path, name: str = "bundle") -> tuple[Report, str]:
    """The report as its two files have it."""
    _, page = write_report(folder / name, folder / f"{name}.work")
    numbers = page.with_name("report.json").read_bytes()
    return msgspec.json.decode(numbers, type=Report), page.read_text(encoding="utf-8")


def manifest_of(root: Path) -> Manifest:
    """The live manifest."""
    return read_manifest(read_current(root))


class _Cells(HTMLParser):
    """The rows of all tables, every tag, and every address that is asked for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.asked: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.asked += [
            value for name, value in attrs if value and name.split(":")[-1] in {"src", "href"}
        ]
        if tag == "tr":
            self.rows.append([])
        self._inside = tag in {"td", "th"}
        if self._inside:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._inside = False


def test_the_numbers_are_those_of_the_account(built: Path) -> None:
    """Would break: the report tells another story than the build's own account."""
    report, page = reported(built)
    manifest = manifest_of(built / "bundle")
    rows = _Cells(page).rows
    for said, source in zip(report.sources, manifest.sources, strict=True):
        assert said.rows_in == source.rows_in
        assert said.rejects == source.rejects
        assert said.shown + said.held_back == source.rows_out
        assert said.rejected == source.rows_in - source.rows_out > 0
        states = [said.rows_in, said.shown, said.held_back, said.removed, said.rejected]
        assert [source.key, *map(str, states), str(said.placed)] in rows
    assert report.rows_in == 420
    assert report.rows == manifest.rows == 420 - report.rejected
    refused = pq.read_table(built / "bundle" / manifest.rejects)["reason"].to_pylist()
    assert {count.reason: count.rows for count in report.rejects} == {
        reason: refused.count(reason) for reason in set(refused)
    }
    for count in report.rejects:
        assert [count.reason, ", ".join(count.stages), str(count.rows)] == next(
            row[:3] for row in rows if row[0] == count.reason
        )
    assert report.size_bytes == sum(
        path.stat().st_size
        for path in (built / "bundle").rglob("*")
        if path.is_file() and path.name != "CURRENT" and not path.name.startswith("manifest-")
    )


def test_stages_and_recall_are_those_of_the_build(built: Path) -> None:
    """Would break: the page shows no times, or another recall than the server's curve."""
    report, page = reported(built)
    (run,) = report.runs
    stages = {stage.name: stage for stage in run.stages}
    assert (stages["read"].done, stages["read"].total) == (420, 420)
    assert stages["segments"].done == report.rows
    assert all(stage.whole for stage in run.stages)
    assert all(stage.points[-1][1] == stage.done for stage in run.stages if stage.done)
    begun = [stage.started_s for stage in run.stages]
    assert begun == sorted(begun)
    (curve,) = report.spaces
    assert curve.rows == report.rows
    for point in curve.served():
        assert [point.queries, point.path, str(point.probes)] in [
            row[:3] for row in _Cells(page).rows
        ]
    assert 'aria-label="Recall curve"' in page
    assert 'aria-label="Throughput over time"' in page


def test_the_page_asks_nobody_and_shows_markup_as_text(tmp_path: Path) -> None:
    """Would break: opening the file reaches out, or a title of a source runs as a program."""
    build_archive(tmp_path, write_frogs(tmp_path / "archive"), "frogs")
    report, page = reported(tmp_path, "frogs")
    found = _Cells(page)
    assert not found.tags & {"script", "link", "img", "iframe", "object", "embed", "marked"}
    assert all(address.startswith("#") for address in found.asked)
    assert "url(http" not in page
    assert "@import" not in page
    assert "Frogs, &quot;quoted&quot; &amp; &lt;marked&gt;" in page
    ids = [part.partition('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))
    assert report.spaces == ()
    assert "The bundle has no vectors." in page
    assert report.runs == ()
    assert "There is no record of the runs" in page


def test_the_map_counts_every_row_once(tmp_path: Path) -> None:
    """Would break: rows of coarse or no place are missing from the map without a word."""
    bundle = build_archive(tmp_path, write_frogs(tmp_path / "archive"), "frogs")
    report, page = reported(tmp_path, "frogs")
    places = report.places
    assert places.mapped + places.coarser + places.nowhere == report.rows == 70
    resolutions = [(row["cell"] >> 52) & 15 for row in stored(bundle)]
    assert places.resolution == 6
    assert places.coarser == sum(resolution < 6 for resolution in resolutions) > 0
    assert f"{places.mapped} rows in {places.cells} cells of resolution 6" in page
    assert 'aria-label="Map of the rows by cell"' in page


@pytest.mark.parametrize("most", [1, 2, 7, 127, 128, 5_000_000, 123_456_789])
def test_classes_of_the_map_hold_every_count_once(most: int) -> None:
    """Would break: a cell falls between two classes and is not drawn."""
    classes = classes_of(most)
    assert classes[0].first == 1
    assert classes[-1].last == most
    assert all(a.last + 1 == b.first for a, b in pairwise(classes))
    assert len(classes) <= len(RAMP)
    assert len({one.colour for one in classes}) == len(classes)


class _StopsAt(Silent):
    """A build that is stopped when it comes to a stage."""

    def __init__(self, stage: str) -> None:
        self._stage = stage

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        """Stop there."""
        with super().stage(name, total, unit) as advance:
            yield advance
            if name == self._stage:
                raise KeyboardInterrupt


def test_a_build_in_two_runs_is_reported_whole(tmp_path: Path) -> None:
    """Would break: the hours before a crash vanish, or count for the next bundle as well."""
    write_vectors(tmp_path / "first.parquet", 200, 1)
    plan, work = write_ready_plan(tmp_path, "first"), tmp_path / "bundle.work"
    with pytest.raises(KeyboardInterrupt):
        build(read_plan(plan), Recorded(_StopsAt("segments"), work))
    (stopped,) = read_record(work).runs
    assert stopped.number is None
    assert [stage.whole for stage in stopped.stages] == [True, True, True, False]
    second = Recorded(Silent(), work)
    second.is_live(build(read_plan(plan), second).manifest.number)
    report, page = reported(tmp_path)
    assert [run.stages[-1].name for run in report.runs] == ["segments", "publish"]
    assert "It took 2 runs" in page
    assert "rows (stopped)" in page
    plan.write_text(plan.read_text().replace('"Ready"', '"Another"'))
    assert CliRunner().invoke(indexer, ["build", str(plan), "--quiet"]).exit_code == 0
    report, _ = reported(tmp_path)
    assert report.title == "Another"
    assert len(report.runs) == 1
    assert len(read_record(work).runs) == 3


def test_the_commands_write_it_and_say_where(tmp_path: Path) -> None:
    """Would break: nobody finds the report, or a build with nothing to do loses its times."""
    write_vectors(tmp_path / "first.parquet", 200, 1)
    plan = write_ready_plan(tmp_path, "first")
    page = tmp_path / "bundle.work" / "report.html"
    for _ in range(2):
        ran = CliRunner().invoke(indexer, ["build", str(plan), "--quiet"])
        assert ran.exit_code == 0, ran.output
        assert str(page) in ran.output.replace("\n", "")
        numbers = msgspec.json.decode(page.with_suffix(".json").read_bytes(), type=Report)
        assert [stage.name for stage in numbers.runs[0].stages][:2] == ["read", "embed"]
        assert len(numbers.runs) == 1
    shutil.rmtree(tmp_path / "bundle.work")
    ran = CliRunner().invoke(
        indexer, ["report", str(tmp_path / "bundle"), "-o", str(tmp_path / "elsewhere")]
    )
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "elsewhere" / "report.html").is_file()
    assert not (tmp_path / "bundle.work" / RECORD).exists()


def test_an_account_that_does_not_add_up_is_no_report(built: Path, tmp_path: Path) -> None:
    """Would break: a bundle whose account was changed is shown as if all were well."""
    root = shutil.copytree(built / "bundle", tmp_path / "bundle")
    current = read_current(root)
    manifest = manifest_of(root)
    first = manifest.sources[0]
    reason = next(iter(first.rejects))
    for changed in (
        {"rejects": first.rejects | {reason: first.rejects[reason] - 1}},
        {"rejects": first.rejects | {reason: 0}, "rows_in": first.rows_in - first.rejects[reason]},
    ):
        source = msgspec.structs.replace(first, **changed)
        wrong = msgspec.structs.replace(manifest, sources=(source, *manifest.sources[1:]))
        current.write_bytes(encode_json(wrong))
        with pytest.raises(BuildError, match="report"):
            write_report(root, tmp_path / "bundle.work")
    assert not (tmp_path / "bundle.work").exists()
    assert live(built) == manifest
