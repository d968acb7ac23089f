"""A build says how far it is, how fast, and how long it still takes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from indexer.build import build
from indexer.plan import read_plan
from indexer.progress import Silent, Terminal, duration
from indexer.report.record import Recorded, Run, read_record
from indexer.stages import sort
from indexer.tables import segment_media
from tests.unit.indexer.frog_atlas import PLAN, write_frogs
from tests.unit.indexer.ready import DIM, INDEXED, write_ready_plan, write_vectors


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now_s


def lines_of(clock: Clock, *, steps: int, step_s: float, total: int) -> list[str]:
    """What a log holds of a stage of `steps` steps of ten rows."""
    written = io.StringIO()
    watcher = Terminal(Console(file=written, width=40), clock)
    with watcher.stage("read", total, "rows") as advance:
        for _ in range(steps):
            clock.now_s += step_s
            advance(10)
    return written.getvalue().splitlines()


def test_a_log_gets_a_line_now_and_then() -> None:
    """Would break: hours without a word, or a line for every part of a million."""
    lines = lines_of(Clock(), steps=100, step_s=1.0, total=2_000)
    assert lines[0] == "    read  100 of 2,000 rows, 10 rows/s, 190 s left".replace(
        "190 s", "3 min"
    )
    assert len(lines) == 11
    assert lines[-1] == "    read  1,000 rows in 100.0 s, 10 rows/s"


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    """Would break: a slow start makes a stage look slow, and its end far, to the last."""
    clock, written = Clock(), io.StringIO()
    watcher = Terminal(Console(file=written, width=40), clock)
    with watcher.stage("embed", 10_000, "images") as advance:
        for _ in range(10):  # a hundred seconds at one image a second
            clock.now_s += 10.0
            advance(10)
        for _ in range(10):  # then a hundred a second
            clock.now_s += 5.0
            advance(500)
    lines = written.getvalue().splitlines()
    assert "100 of 10,000 images, 1 images/s, 2.8 h left" in lines[9]
    assert "5,100 of 10,000 images, 100 images/s, 49 s left" in lines[-2]


def test_a_short_stage_is_one_line_without_a_rate() -> None:
    """Would break: a stage of a moment claims a rate that means nothing."""
    assert lines_of(Clock(), steps=2, step_s=0.1, total=20) == ["    read  20 rows in 0.2 s"]


def test_a_stage_of_unknown_length_shows_what_is_done() -> None:
    """Would break: a division by nothing stops a build that runs well."""
    lines = lines_of(Clock(), steps=12, step_s=1.0, total=0)
    assert lines[0] == "    read  100 rows, 10 rows/s"


def test_a_terminal_shows_rate_and_time_left() -> None:
    """Would break: the bar moves, and nobody knows whether to wait or to go home."""
    clock, written = Clock(), io.StringIO()
    console = Console(file=written, width=120, force_terminal=True, force_interactive=True)
    with Terminal(console, clock).stage("read", 1_000, "rows") as advance:
        for _ in range(5):
            advance(100)
    shown = written.getvalue()
    assert "500/1000" in shown
    assert "rows/s" in shown


def test_time_is_told_in_its_own_size() -> None:
    """Would break: 7,200 seconds are told as seconds."""
    assert [duration(s) for s in (3.2, 89, 600, 7_200)] == ["3 s", "89 s", "10 min", "2.0 h"]


def watched(plan: Path, work: Path) -> Run:
    """How the stages of a build went."""
    build(read_plan(plan), Recorded(Silent(), work))
    return read_record(work).runs[-1]


def test_every_stage_tells_all_that_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a bar that stands still for hours, or ends at a half, or beyond the whole."""
    monkeypatch.setattr(segment_media, "_BLOCK_BYTES", 2 * DIM * 40)
    write_vectors(tmp_path / "first.parquet", 400, 1)
    run = watched(write_ready_plan(tmp_path, "first", sections=INDEXED), tmp_path / "work")
    for stage in run.stages:
        assert stage.total in {stage.done, 0}, stage.name
    steps = {stage.name: len(stage.points) for stage in run.stages}
    assert steps["segments"] >= 10
    assert steps["encode"] == 3
    assert steps["sort"] == sort.SORT_STEPS


def test_records_without_vectors_are_told_as_they_are_written(tmp_path: Path) -> None:
    """Would break: an atlas of maps is sorted without a word, or counted twice."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.format(bundle="bundle", path=write_frogs(tmp_path / "archive")))
    run = watched(plan, tmp_path / "work")
    stage = next(stage for stage in run.stages if stage.name == "segments")
    assert stage.done == stage.total == 70
