"""Pictures of many parts on their way through decoding workers to one or several devices."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from atlas.errors import BuildError
from atlas.search.frame import Frame
from indexer.embedding import slots
from indexer.embedding.decoders import Workers, workers_for
from indexer.embedding.lane import PictureEncoder, PictureJob, slots_for
from indexer.embedding.part import PartFile
from indexer.embedding.slots import SlotShape
from indexer.embedding.times import Times
from indexer.engines.local import worker_count
from indexer.parts import PartReport, report_of
from indexer.plan_sections import MediaSection
from indexer.sources import Source
from indexer.stages.embed import PictureWork, embed_pictures
from indexer.stages.read import read_part
from tests.unit.indexer.colours import ColourEncoder
from tests.unit.indexer.failing_frames import FaultyFrame, KillingFrame
from tests.unit.indexer.tables import FolderMaker, unchanged

PICTURES = 90
PART_ROWS = 20
THREADS = Workers(processes=0, threads=2)
PROCESSES = Workers(processes=2, threads=2)


@pytest.fixture
def photos(folder_source: FolderMaker, tmp_path: Path) -> Source:
    """Ninety small noisy pictures in five parts, every seventh of them broken."""
    generator = np.random.default_rng(5)
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = ["file,mediaLicense"]
    for number in range(PICTURES):
        name = f"{number:03}.jpg"
        noise = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)
        if number % 7 == 0:
            (folder / name).write_bytes(b"broken")
        lines.append(f"{name},{'CC0' if number % 2 else ''}")
    return folder_source("\n".join(lines).encode(), part_rows=PART_ROWS)


class Embedded(NamedTuple):
    """What embedding all parts gave."""

    folder: Path
    reports: dict[str, PartReport]
    times: Times

    def files(self) -> dict[str, bytes]:
        """Every file's bytes."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}


def jobs_of(source: Source, work: Path, folder: Path) -> list[PictureJob]:
    """Read all parts and describe where they go."""
    jobs = []
    for part in source.parts():
        read_part(source, part, identity="r", folder=work / "read", curate=unchanged)
        file = PartFile(folder, part.name, "e")
        jobs.append(PictureJob(file, work / "read", source.settings.key))
    return jobs


def embedded(
    source: Source,
    work: Path,
    name: str,
    *lanes: dict[str, PictureEncoder],
    workers: Workers = THREADS,
) -> Embedded:
    """Embed all parts into a folder of this name."""
    jobs = jobs_of(source, work, work / name)
    times = Times()
    doing = PictureWork(
        {source.settings.key: source}, lanes, MediaSection(host=("CC0",), max_side_px=16), workers
    )
    steps: list[int] = []
    reports = {
        report.part: report for report in embed_pictures(doing, iter(jobs), steps.append, times)
    }
    assert sum(steps) == PICTURES
    return Embedded(work / name, reports, times)


def test_no_row_is_lost_between_parts(photos: Source, tmp_path: Path) -> None:
    """Would break: asking ahead into the next part moves rows or vectors from part to part."""
    result = embedded(photos, tmp_path, "out", {"tiny": ColourEncoder(batch_size=8)})
    assert [report.rows_in for report in result.reports.values()] == [20, 20, 20, 20, 10]
    assert sum(report.rejects for report in result.reports.values()) == len(range(0, PICTURES, 7))
    assert all(report_of(result.folder, name) == report for name, report in result.reports.items())
    assert result.times.decode_s > 0
    assert result.times.read_s > 0
    assert result.times.frame_s > 0


def test_a_batch_never_holds_two_parts(photos: Source, tmp_path: Path) -> None:
    """Would break: a part done again after a stop has other neighbours, and so other bytes."""
    encoder = ColourEncoder(batch_size=16)
    result = embedded(photos, tmp_path, "out", {"tiny": encoder})
    kept = [report.rows_out for report in result.reports.values()]
    expected = [min(16, rows - at) for rows in kept for at in range(0, rows, 16)]
    assert encoder.batches == expected
    again = tmp_path / "again"
    shutil.copytree(result.folder, again)
    (again / f"{jobs_of(photos, tmp_path, again)[2].file.part}.json").unlink()
    assert (
        embedded(photos, tmp_path, "again", {"tiny": ColourEncoder(16)}).files() == result.files()
    )


def test_processes_threads_and_devices_give_the_same_files(photos: Source, tmp_path: Path) -> None:
    """Would break: a build's bytes depend on the machine that it ran on."""
    wanted = embedded(photos, tmp_path, "threads", {"tiny": ColourEncoder()})
    processes = embedded(
        photos, tmp_path, "processes", {"tiny": ColourEncoder()}, workers=PROCESSES
    )
    assert processes.files() == wanted.files()
    lanes: list[dict[str, PictureEncoder]] = [{"tiny": ColourEncoder()} for _ in range(3)]
    assert embedded(photos, tmp_path, "lanes", *lanes).files() == wanted.files()


def test_each_picture_is_read_once_for_all_spaces(
    photos: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a second model doubles the reading and decoding."""
    read: list[str] = []
    real = photos.picture

    def picture(media_ref: str) -> bytes:
        read.append(media_ref)
        return real(media_ref)

    monkeypatch.setattr(photos, "picture", picture)
    large = ColourEncoder(batch_size=5, frame=Frame(height=4, width=4, resize_mode="squash"))
    both = embedded(photos, tmp_path, "both", {"a": ColourEncoder(), "b": large})
    assert sorted(read) == [f"{number:03}.jpg" for number in range(PICTURES)]
    alone = embedded(photos, tmp_path, "alone", {"b": ColourEncoder(frame=large.frame)})
    for name, content in alone.files().items():
        if name.endswith(".b.f16"):
            assert both.files()[name] == content
    assert {tuple(report.dims) for report in both.reports.values()} == {("a", "b")}


def test_the_next_part_is_decoded_while_one_is_finished(photos: Source, tmp_path: Path) -> None:
    """Would break: every device stands still at the end of every part."""
    events: list[str] = []

    def asked(jobs: list[PictureJob]) -> Iterator[PictureJob]:
        for job in jobs:
            events.append(f"asked {job.file.part}")
            yield job

    jobs = jobs_of(photos, tmp_path, tmp_path / "out")
    doing = PictureWork(
        {photos.settings.key: photos}, [{"tiny": ColourEncoder()}], MediaSection(), THREADS
    )
    reports = embed_pictures(doing, asked(jobs), lambda _rows: None)
    events.extend(f"finished {report.part}" for report in reports)
    names = [job.file.part for job in jobs]
    assert events.index(f"asked {names[2]}") < events.index(f"finished {names[0]}")


@pytest.mark.parametrize("workers", [THREADS, PROCESSES])
def test_a_fault_stops_all_lanes_and_leaves_no_half_part(
    photos: Source, tmp_path: Path, workers: Workers
) -> None:
    """Would break: one device goes on for hours after another has failed, or half a part stays."""
    faulty: list[dict[str, PictureEncoder]] = [
        {"tiny": ColourEncoder(frame=FaultyFrame())} for _ in range(2)
    ]
    with pytest.raises(BuildError, match=r"\d\.jpg \(row \d+\): RuntimeError: out of"):
        embedded(photos, tmp_path, "out", *faulty, workers=workers)
    assert not [path.name for path in (tmp_path / "out").iterdir()]


def test_a_source_may_stop_the_build(
    photos: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: input that changed under a build is booked as broken pictures."""

    def changed(media_ref: str) -> bytes:
        raise BuildError("embed", f"the file of {media_ref} changed; start it again")

    monkeypatch.setattr(photos, "picture", changed)
    with pytest.raises(BuildError, match=r"^embed: the file of 000\.jpg changed"):
        embedded(photos, tmp_path, "out", {"tiny": ColourEncoder()})


def test_a_killed_worker_stops_the_build(photos: Source, tmp_path: Path) -> None:
    """Would break: a build hangs when the kernel ends a worker for want of memory."""
    killing: dict[str, PictureEncoder] = {"tiny": ColourEncoder(frame=KillingFrame())}
    with pytest.raises(BuildError, match="a decoding process ended unexpectedly"):
        embedded(photos, tmp_path, "out", killing, workers=PROCESSES)
    assert not [path.name for path in (tmp_path / "out").iterdir()]


def test_a_caller_that_stops_leaves_no_half_part(photos: Source, tmp_path: Path) -> None:
    """Would break: an interrupted build leaves open files that a later one takes for its own."""
    jobs = jobs_of(photos, tmp_path, tmp_path / "out")
    doing = PictureWork(
        {photos.settings.key: photos}, [{"tiny": ColourEncoder()}], MediaSection(), THREADS
    )
    running: Any = embed_pictures(doing, iter(jobs), lambda _rows: None)
    first = next(running)
    running.close()
    parts = {path.name.split(".")[0] for path in (tmp_path / "out").iterdir()}
    assert parts == {first.part}


def test_too_little_shared_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break: in a container with 64 MB of it a build dies of SIGBUS, without a word."""
    shape = SlotShape(1000, 32, (("tiny", 224, 224),))
    full = shutil.disk_usage("/")._replace(free=shape.size_bytes - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    monkeypatch.setattr(slots, "_SHARED", Path("/"))
    with pytest.raises(BuildError, match="decode_processes = 0"):
        slots.shared_memory(shape)


def test_workers_follow_the_devices() -> None:
    """Would break: a GPU waits for four threads, or a CPU's model shares it with processes."""
    assert workers_for("auto", 4, devices=1, on_gpu=False) == Workers(0, 4)
    assert workers_for("auto", 4, devices=1, on_gpu=True).processes >= 1
    assert workers_for(3, 2, devices=1, on_gpu=False) == Workers(3, 2)
    processors = worker_count("auto")
    assert workers_for("auto", "auto", devices=1, on_gpu=False) == Workers(0, 4)
    assert workers_for("auto", "auto", devices=1, on_gpu=True) == (max(1, processors - 1), 4)
    assert workers_for(0, "auto", devices=1, on_gpu=True) == (0, max(4, processors))
    encoders: dict[str, PictureEncoder] = {"tiny": ColourEncoder(batch_size=100)}
    assert slots_for(encoders, chunks_at_work=3) == 4 + 6
