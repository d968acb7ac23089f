"""The embed stage: pictures and ready vectors in, vectors and hosted copies out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from atlas.errors import BuildError
from atlas.search.frame import Pixels
from indexer.embedding import lane, part
from indexer.embedding.decoders import Workers
from indexer.embedding.lane import PictureEncoder, PictureJob
from indexer.embedding.part import PartFile, Vectors
from indexer.embedding.times import Times
from indexer.parts import PartReport, finished, records_path, rejects_path, vectors_path
from indexer.plan_sections import EmbeddingsSection, FolderSection, MediaSection
from indexer.records import EMBEDDED_SCHEMA, REJECT_SCHEMA
from indexer.sources import Source
from indexer.sources.embeddings import EmbeddingsSource
from indexer.sources.folder import FolderSource
from indexer.stages.embed import PictureWork, ReadyJob, embed_pictures, take_ready
from indexer.stages.read import read_part
from tests.unit.indexer.colours import ColourEncoder
from tests.unit.indexer.failing_frames import FaultyFrame
from tests.unit.indexer.tables import RANKS, FolderMaker, draw, sole, unchanged, write_csv

COLOURS = {"a.png": (250, 0, 0), "b.png": (0, 250, 0), "c.png": (0, 0, 250), "d.png": (90, 90, 0)}
TABLE = (
    b"file,occurrenceID,mediaLicense\n"
    b"a.png,1,CC BY 4.0\n"
    b"text.jpg,2,CC0\n"
    b"b.png,3,CC BY-NC 4.0\n"
    b"missing.png,4,CC0\n"
    b"cut.png,5,CC0\n"
    b"c.png,6,CC0\n"
    b"wide.png,7,CC0\n"
    b"empty.png,8,CC0\n"
    b"d.png,9,\n"
    b"copy.png,10,CC0\n"
)
REASONS = {
    3: "not_an_image",
    5: "file_missing",
    6: "image_damaged",
    8: "image_too_large",
    9: "image_empty",
}
MEDIA = MediaSection(host=("CC BY 4.0", "cc0"), max_side_px=32, max_pixels=5_000)


@pytest.fixture
def photos(folder_source: FolderMaker, tmp_path: Path) -> Source:
    """Five good pictures, two of them the same file, and one picture for each reason to refuse."""
    folder = tmp_path / "photos"
    for name, colour in COLOURS.items():
        draw(folder / name, colour)
    (folder / "copy.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    draw(folder / "wide.png", (1, 1, 1), size=(100, 60))
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "cut.png")
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:1500])
    return folder_source(TABLE, part_rows=100)


class Job(NamedTuple):
    """The only part of a source, and what it is embedded with."""

    source: Source
    work: Path
    part: str
    folder: Path
    encoders: Mapping[str, PictureEncoder]
    media: MediaSection = MEDIA
    workers: Workers = Workers(processes=0, threads=2)


def job_of(source: Source, work: Path, **changes: object) -> Job:
    """Read the only part of a source and describe how to embed it."""
    part = sole(source.parts())
    read_part(source, part, identity="r", folder=work / "read", curate=unchanged)
    job = Job(source, work, part.name, work / "embed", {"tiny": ColourEncoder()})
    return job._replace(**changes)  # type: ignore[arg-type]


def embed_part(
    job: Job, progress: Callable[[int], None] = lambda _rows: None, times: Times | None = None
) -> PartReport:
    """Embed it."""
    key = job.source.settings.key
    file = PartFile(job.folder, job.part, "e")
    work = PictureWork({key: job.source}, [job.encoders], job.media, job.workers)
    jobs = iter([PictureJob(file, job.work / "read", key)])
    (report,) = embed_pictures(work, jobs, progress, times)
    return report


def test_good_pictures_become_vectors_and_bad_ones_rejects(photos: Source, tmp_path: Path) -> None:
    """Would break: a bad picture stops the part, shifts vectors against records, or vanishes."""
    job = job_of(photos, tmp_path)
    steps: list[int] = []
    report = embed_part(job, steps.append)
    assert (report.rows_in, report.rows_out, report.rejects) == (10, 5, 5)
    assert report.dims == {"tiny": 3}
    assert sum(steps) == 10
    records = pq.read_table(records_path(job.folder, job.part))
    assert records.schema.equals(EMBEDDED_SCHEMA)
    assert records["media_ref"].to_pylist() == ["a.png", "b.png", "c.png", "d.png", "copy.png"]
    rejects = pq.read_table(rejects_path(job.folder, job.part))
    assert rejects.schema.equals(REJECT_SCHEMA)
    assert (
        dict(zip(rejects["row"].to_pylist(), rejects["reason"].to_pylist(), strict=True)) == REASONS
    )
    assert set(rejects["stage"].to_pylist()) == {"embed"}
    vectors = np.fromfile(vectors_path(job.folder, job.part, "tiny"), "<f2").reshape(-1, 3)
    colours = np.array([*COLOURS.values(), COLOURS["a.png"]], dtype=np.float64) + 1
    expected = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-3)
    digests = records["media_sha256"].to_pylist()
    assert digests[0] == digests[4] == hashlib.sha256(photos.picture("a.png")).hexdigest()


def test_photos_are_copied_only_where_the_plan_allows_their_licence(
    photos: Source, tmp_path: Path
) -> None:
    """Would break: a photo is published against its licence, or larger than the plan says."""
    job = job_of(photos, tmp_path)
    embed_part(job)
    records = pq.read_table(records_path(job.folder, job.part)).to_pylist()
    hosted = {record["media_ref"]: record["media_type"] for record in records}
    assert hosted == {
        "a.png": "image/jpeg",
        "b.png": None,
        "c.png": "image/jpeg",
        "d.png": None,
        "copy.png": "image/jpeg",
    }
    for record in records:
        assert (record["media"] is None) == (record["media_type"] is None)
        if record["media"] is not None:
            assert Image.open(io.BytesIO(record["media"])).size == (32, 24)
    none = job._replace(media=MediaSection(), folder=tmp_path / "none")
    embed_part(none)
    assert pq.read_table(records_path(none.folder, none.part))["media"].null_count == 5 + 1


def test_an_interrupted_part_ends_as_an_undisturbed_one(
    photos: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: resuming gives other bytes, or half a part counts as finished."""
    monkeypatch.setattr(lane, "CHUNK_ROWS", 4)
    monkeypatch.setattr(part, "_GROUP_ROWS", 4)
    job = job_of(photos, tmp_path)
    embed_part(job)
    again = job._replace(folder=tmp_path / "again")

    def stop(_rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_part(again, stop)
    assert finished(again.folder, job.part, "e") is None
    embed_part(again)
    names = sorted(path.name for path in job.folder.iterdir())
    assert names == sorted(path.name for path in again.folder.iterdir())
    for name in names:
        assert (job.folder / name).read_bytes() == (again.folder / name).read_bytes(), name


def test_a_finished_part_is_not_done_again(photos: Source, tmp_path: Path) -> None:
    """Would break: a resumed build sends every picture through the model again."""
    encoder = ColourEncoder()
    job = job_of(photos, tmp_path, encoders={"tiny": encoder})
    report = embed_part(job)
    assert encoder.batches == [2, 2, 1]
    steps: list[int] = []
    assert embed_part(job, steps.append) == report
    assert encoder.batches == [2, 2, 1]
    assert steps == [10]


def test_runs_and_spaces_do_not_change_the_vectors(
    photos: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: a row's vector depends on where a run ends, or on the other space."""
    plain = job_of(photos, tmp_path)
    embed_part(plain)
    monkeypatch.setattr(lane, "CHUNK_ROWS", 3)
    both = plain._replace(
        folder=tmp_path / "both",
        encoders={"tiny": ColourEncoder(), "wide": ColourEncoder(batch_size=5)},
    )
    assert embed_part(both).dims == {"tiny": 3, "wide": 3}
    expected = vectors_path(plain.folder, plain.part, "tiny").read_bytes()
    assert vectors_path(both.folder, both.part, "tiny").read_bytes() == expected
    assert vectors_path(both.folder, both.part, "wide").read_bytes() == expected


def test_a_part_may_have_no_survivors(folder_source: FolderMaker, tmp_path: Path) -> None:
    """Would break: a part of broken pictures alone stops the build."""
    job = job_of(folder_source(b"file\nmissing.png\n"), tmp_path)
    report = embed_part(job)
    assert (report.rows_out, report.rejects) == (0, 1)
    assert vectors_path(job.folder, job.part, "tiny").stat().st_size == 0
    assert pq.read_table(records_path(job.folder, job.part)).num_rows == 0


class LosingEncoder(ColourEncoder):
    """Loses the last vector of each batch."""

    def encode(self, pixels: Pixels) -> Vectors:
        """All but the last."""
        return super().encode(pixels)[:-1]


class LongEncoder(ColourEncoder):
    """Forgets to make unit vectors."""

    def encode(self, pixels: Pixels) -> Vectors:
        """Twice as long."""
        return super().encode(pixels) * 2


class BrokenEncoder(ColourEncoder):
    """Gives no numbers."""

    def encode(self, pixels: Pixels) -> Vectors:
        """NaN only."""
        return super().encode(pixels) * np.float32(np.nan)


@pytest.mark.parametrize(
    ("encoder", "problem"),
    [
        (LosingEncoder(), "vectors of"),
        (LongEncoder(), "length 1"),
        (BrokenEncoder(), "length 1"),
        (ColourEncoder(frame=FaultyFrame()), r"a\.png \(row 2\): RuntimeError: out of something"),
    ],
)
def test_a_faulty_encoder_stops_the_build(
    photos: Source, tmp_path: Path, encoder: ColourEncoder, problem: str
) -> None:
    """Would break: vectors move against their rows, or faults of ours are booked as rejects."""
    job = job_of(photos, tmp_path, encoders={"tiny": encoder})
    with pytest.raises(BuildError, match=problem):
        embed_part(job)
    assert finished(job.folder, job.part, "e") is None
    assert not list(job.folder.glob("*.f16"))


def test_ready_vectors_are_kept_as_they_are(tmp_path: Path) -> None:
    """Would break: ready vectors need an encoder, or lose their order."""
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(3)]
    vectors = [[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]]
    pq.write_table(pa.table({"uuid": ids, "emb": vectors}), tmp_path / "v.parquet")
    section = EmbeddingsSection(key="v", title="V", path=tmp_path / "v.parquet", space="ready")
    source = EmbeddingsSource(section, ranks=RANKS, dim=None, resolution=7)
    job = job_of(source, tmp_path)
    report = take_ready(
        ReadyJob(PartFile(job.folder, job.part, "e"), tmp_path / "read", ("ready",))
    )
    assert (report.rows_in, report.rows_out, report.dims) == (2, 2, {"ready": 2})
    stored = np.fromfile(vectors_path(job.folder, job.part, "ready"), "<f2").reshape(-1, 2)
    np.testing.assert_allclose(stored, np.array([[0.6, 0.8], [0, -1]]), atol=1e-3)
    records = pq.read_table(records_path(job.folder, job.part))
    assert records.schema.equals(EMBEDDED_SCHEMA)
    assert records["image_id"].to_pylist() == [ids[0], ids[2]]
    assert records["media"].null_count == 2


def test_real_photos_keep_their_credit(shared_data: Path, tmp_path: Path) -> None:
    """Would break: real photos are refused, or are published without or against their licence.

    Their own table names two files that are not there: `pear.jpg` and `tomatoe.jpg`.
    """
    lines = (shared_data / "crops-photos-cc/LICENSE.md").read_text(encoding="utf-8").splitlines()
    cells = [line.split(" | ") for line in lines if line.startswith("[`")]
    rows = [
        {
            "file": file.partition("`")[2].partition("`")[0],
            "rightsHolder": author,
            "mediaLicense": licence,
            "references": url,
        }
        for file, author, licence, url in cells
    ]
    write_csv(tmp_path / "crops.csv", rows)
    section = FolderSection(
        key="crops",
        title="Crops",
        path=shared_data / "crops-photos-cc",
        records=tmp_path / "crops.csv",
    )
    source = FolderSource(
        section, ranks=RANKS, resolution=7, part_rows=100, max_file_bytes=10_000_000
    )
    job = job_of(source, tmp_path, media=MediaSection(host=("CC0",), max_side_px=64))
    report = embed_part(job)
    assert (report.rows_in, report.rows_out, report.rejects) == (55, 53, 2)
    rejects = pq.read_table(rejects_path(job.folder, job.part))
    assert rejects["media_ref"].to_pylist() == ["pear.jpg", "tomatoe.jpg"]
    records = pq.read_table(records_path(job.folder, job.part)).to_pylist()
    hosted = {record["media_licence"] for record in records if record["media"] is not None}
    assert hosted == {"CC0-1.0"}
    assert all(record["rights_holder"] and record["reference_url"] for record in records)
    assert {record["media_licence"] for record in records} >= {"CC-BY-SA-3.0", "PDM-1.0"}
